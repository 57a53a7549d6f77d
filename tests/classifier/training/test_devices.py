"""The options of devices reach the strategy, the training step and the network."""

import dataclasses

import pytest
import tensorflow as tf

from classifier.training import run as training
from classifier.training.step import devices_of, make_train_op
from deployment import bfloat16
from slim import _checks
from slim.reduction import AllReduce


def test_the_options_of_the_reduction_reach_the_step(resolved):
    assert devices_of(resolved(num_clones=2, all_reduce="ring").config).all_reduce == "ring"
    options = {"all_reduce": "ring", "all_reduce_dtype": "bfloat16", "all_reduce_bucket_mb": 0.5}
    for values, expected in (({}, AllReduce()), (options, AllReduce("bfloat16", 500_000))):
        train_op = make_train_op(resolved(**values), tf.distribute.get_strategy())
        assert train_op._all_reduce == expected


def test_the_cpu_is_split_and_all_of_its_devices_are_used(resolved, monkeypatch):
    counts = []
    monkeypatch.setattr(training, "split_cpu", counts.append)
    config = resolved(split_cpu=2).config
    strategy = dataclasses.replace(config.strategy, num_clones=-1)
    config = training.with_devices(dataclasses.replace(config, strategy=strategy))
    assert counts == [2]
    available = len(tf.config.list_logical_devices("CPU"))
    assert config.strategy.num_clones == available


@pytest.mark.parametrize(("native", "dtype"), [(True, "bfloat16"), (False, "float32")])
def test_auto_selects_the_dtype_by_the_devices(resolved, monkeypatch, native, dtype):
    monkeypatch.setattr(bfloat16, "is_native", lambda on_gpu: native)
    for option, expected in (("auto", dtype), ("float16", "float16")):
        config = training.with_devices(resolved(compute_dtype=option).config)
        assert config.network.compute_dtype == expected


@pytest.mark.parametrize(
    "values",
    [{"accumulate_steps": 2}, {"jit_compile": "true"}, {"recompute_gradients": True}],
    ids=str,
)
def test_synchronized_batch_norm_excludes_options(resolved, values):
    (name,) = values
    with pytest.raises(_checks.UserError, match=f"sync_batch_norm cannot be used with {name}"):
        resolved(sync_batch_norm=True, **values)
