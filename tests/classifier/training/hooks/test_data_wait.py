"""The warning about the time that a run waits for data."""

import io
import time
import types

import numpy as np
import pytest
import tensorflow as tf

from classifier.config import options
from classifier.config.training import TrainConfig
from classifier.resolve import training as resolve
from classifier.training.hooks.data_wait import DataWait
from slim import learning
from tests.classifier import split_metadata
from tests.slim import tiny

HELP = "the disk or preprocessing is slower than the network. Options that may help:"


def resolved(**values):
    values = {"train_dir": "run", "dataset_dir": "data", "model_name": "lenet"} | values
    return resolve.resolve_training(options.build(TrainConfig, **values), split_metadata.Dataset())


def warning(waits, seconds=1.0, in_place=False, hook_seconds=0.0, **values):
    """Returns the output for steps of so many seconds, with the time that each waits for data."""
    text, now = io.StringIO(), [0.0]
    hook = DataWait(
        resolved(**values), in_place, warm_up=4, steps=5, seconds=5.0, stream=text,
        clock=lambda: now[0],
    )  # fmt: skip
    run = types.SimpleNamespace(overhead_seconds=0.0)
    hook.begin(run)
    for wait in waits:
        now[0] += seconds
        hook.after_steps(run, {"data_wait": np.full(2, wait / 2, np.float32)})
        now[0] += hook_seconds
        run.overhead_seconds += hook_seconds
    return text.getvalue()


def test_slow_data_is_a_warning_once():
    options_that_help = "--num_preprocessing_threads, --num_readers, --cache, --data_service"
    line = f"warning: 50% of the step time is spent waiting for data: {HELP} {options_that_help}\n"
    assert warning([0.5] * 40) == line
    assert warning([0.5] * 40, hook_seconds=9.0) == line
    assert warning([0.1] * 20 + [0.5] * 20)  # data that become slow later


@pytest.mark.parametrize(
    "in_place, values, helpful",
    [
        (True, {}, "--num_readers, --cache, or convert the images to TFRecords"),
        (False, {"cache": "memory"}, "--num_readers, --data_service"),
        (False, {"balanced_sampling": True}, "--num_readers, --cache"),
    ],
)
def test_only_options_that_may_help_are_named(in_place, values, helpful):
    text = warning([0.5] * 20, in_place=in_place, **values)
    assert text.endswith(f"{HELP} --num_preprocessing_threads, {helpful}\n")


@pytest.mark.parametrize(
    "waits, seconds",
    [
        ([0.19] * 40, 1.0),
        ([1.0, 1.0, *[0.0] * 40], 1.0),  # the warm-up
        ([0.05] * 40, 0.1),  # four seconds in total
        ([1.0] * 5, 1.0),
    ],
)
def test_fast_data_a_slow_start_and_short_runs_are_no_warning(waits, seconds):
    assert warning(waits, seconds) == ""


@pytest.mark.parametrize("is_slow", [True, False])
def test_training_on_slow_and_on_fast_data(tmp_path, is_slow):
    def wait(number, batch):
        (pause,) = tf.numpy_function(
            lambda _: time.sleep(0.03) or np.zeros(1), [number], ["double"]
        )
        with tf.control_dependencies([pause]):
            return tf.nest.map_structure(tf.identity, batch)

    text = io.StringIO()
    # Computing takes about a millisecond, so that only the slow data take the minimum time.
    hook = DataWait(resolved(), False, warm_up=3, steps=5, seconds=0.12, stream=text)
    batches = tiny.batches().enumerate().map(wait) if is_slow else tiny.batches()
    settings = {"number_of_steps": 12, "hooks": [hook], "log_every_n_steps": 0}
    learning.train(tiny.train_op(), str(tmp_path), batches, **settings)
    assert bool(text.getvalue()) == is_slow
