"""Options that parameter servers do not support."""

import types

import pytest

from classifier.config import options
from classifier.config.training import TrainConfig
from classifier.resolve import parameter_servers
from slim import _checks


def config(**more):
    values = {"num_ps_tasks": 2, "worker_replicas": 2, "steps_per_loop": 10} | more
    return options.build(TrainConfig, train_dir="x", dataset_dir="x", dataset_name="x", **values)


@pytest.mark.parametrize(
    "more",
    [
        {"sync_replicas": True},
        {"replicas_to_aggregate": 2},
        {"sync_batch_norm": True},
        {"all_reduce": "ring"},
        {"all_reduce_dtype": "float16"},
        {"num_clones": 2},
        {"split_cpu": 2},
        {"deterministic": True},
        {"jit_compile": "true"},
        {"on_nan": "restore"},
        {"on_bad_image": "skip"},
        {"data_service": "grpc://a:1"},
        {"cache": "memory"},
        {"balanced_sampling": True},
        {"batch_size": -1},
        {"learning_rate": 0.0},
        {"teacher_checkpoint_path": "x"},
    ],
)
def test_an_option_that_needs_another_way_to_train_is_named(more):
    with pytest.raises(_checks.UserError) as error:
        parameter_servers.check(config(**more))
    (line,) = error.value.as_flags.splitlines()
    (name,) = more
    assert line.startswith(f"--{name}")
    assert " cannot be used with --num_ps_tasks=2: " in line
    parameter_servers.check(config(**more, num_ps_tasks=0))


def test_steps_that_do_not_overlap_are_an_error():
    with pytest.raises(_checks.UserError, match="steps_per_loop=1 leaves workers idle") as error:
        parameter_servers.check(config(steps_per_loop=1))
    assert error.value.as_flags.endswith("use --steps_per_loop=20 or more")
    parameter_servers.check(config(steps_per_loop=2))


def test_images_in_place_are_an_error():
    metadata = types.SimpleNamespace(items=("x.jpg",), name="pets")
    with pytest.raises(_checks.UserError, match="num_ps_tasks=2 needs TFRecords, but .*'pets'"):
        parameter_servers.check_data(config(), metadata)
    parameter_servers.check_data(config(num_ps_tasks=0), metadata)
