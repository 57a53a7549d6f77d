"""The same global batch on any number of workers and clones is the same training step.

Workers are processes on the loopback interface, clones are logical devices of the CPU. Dropout,
which each clone draws for itself, is disabled.
"""

import collections
import subprocess
import sys

import commands
import numpy as np
import pytest
import test_workers

pytestmark = pytest.mark.slow

SCRIPT = """
import inspect, sys
from nets import lenet, mobilenet_v1
for network in (lenet.lenet, mobilenet_v1.mobilenet_v1):
    parameters = inspect.signature(network).parameters
    network.__defaults__ = tuple(
        1.0 if name == "dropout_keep_prob" else parameter.default
        for name, parameter in parameters.items()
        if parameter.default is not inspect.Parameter.empty
    )
import train_image_classifier as script
sys.exit(script.main())
"""
# A higher learning rate amplifies rounding.
LENET = {"model_name": "lenet", "weight_decay": 0.001, "learning_rate": 0.0002}
MOBILENET = {
    "model_name": "mobilenet_v1_025", "train_image_size": 32, "batch_norm_decay": 0.9,
    "sync_batch_norm": True, "moving_average_decay": 0.9, "learning_rate": 0.001,
}  # fmt: skip


def train(run, digits, workers=1, clones=1, global_batch=32, steps=10, **options):
    """Trains, and returns the first worker's output."""
    options = {"log_every_n_steps": 1, "steps_per_loop": 1, "num_clones": clones} | options
    if clones > 1:
        options |= {"split_cpu": clones}
    if workers > 1:
        ports = test_workers.free_ports(workers)
        master = ",".join(f"127.0.0.1:{port}" for port in ports)
        options |= {"worker_replicas": workers, "master": master}
    options["batch_size"] = global_batch // (workers * clones)
    flags = commands.train_flags(run, digits, steps, **options)
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", SCRIPT, *flags, f"--task={task}"],
            cwd=commands.ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for task in range(workers)
    ]  # fmt: skip
    return test_workers.finish(processes)[0][0]


Outcome = collections.namedtuple("Outcome", "losses variables output")


def outcome(run, digits, **options):
    """Trains, and returns the losses, the checkpoint and the output."""
    output = train(run, digits, **options)
    return Outcome(test_workers.losses(run), test_workers.variables(run), output)


def check_same(ours, theirs, tolerance=1e-4):
    np.testing.assert_allclose(ours.losses, theirs.losses, rtol=1e-5)
    assert sorted(ours.variables) == sorted(theirs.variables)
    for name, value in theirs.variables.items():
        np.testing.assert_allclose(ours.variables[name], value, atol=tolerance, err_msg=name)


@pytest.fixture(scope="module")
def alone(digits, tmp_path_factory):
    """The run of one clone."""
    return outcome(tmp_path_factory.mktemp("alone") / "run", digits, **LENET)


@pytest.mark.parametrize(
    "workers, clones, global_batch, product",
    [
        (1, 2, 32, "2 clones x 16"),
        (1, 4, 32, "4 clones x 8"),
        (2, 1, 32, "2 workers x 16"),
        (2, 2, 32, "2 workers x 2 clones x 8"),
    ],
)
def test_the_losses_are_those_of_one_clone(
    digits, alone, tmp_path, workers, clones, global_batch, product
):
    same = outcome(tmp_path / "run", digits, workers=workers, clones=clones, **LENET)
    check_same(same, alone)
    assert f"global batch 32 = {product}; 1 epoch = 44.90625 steps" in same.output


def test_three_workers(digits, tmp_path):
    one = outcome(tmp_path / "one", digits, global_batch=30, **LENET)
    check_same(outcome(tmp_path / "three", digits, workers=3, global_batch=30, **LENET), one)


def test_synchronized_batch_norm(digits, tmp_path):
    # Later losses of this network on small images differ between two runs of one clone too; ten
    # steps are compared in slim/test_synchronized_batch_norm.py.
    one = outcome(tmp_path / "one", digits, steps=1, **MOBILENET)
    for workers, clones in ((1, 2), (2, 2)):
        run = tmp_path / f"{workers}x{clones}"
        same = outcome(run, digits, workers=workers, clones=clones, steps=1, **MOBILENET)
        np.testing.assert_allclose(same.losses, one.losses, rtol=1e-4)
    options = MOBILENET | {"sync_batch_norm": False, "steps": 1}
    clones = outcome(tmp_path / "clones", digits, clones=4, **options)
    assert abs(clones.losses - one.losses) > 1e-3
    workers = outcome(tmp_path / "workers", digits, workers=2, clones=2, **options)
    np.testing.assert_allclose(workers.losses, clones.losses, rtol=1e-4)
    means = [name for name in clones.variables if name.endswith("moving_mean")]
    assert len(means) == 27
    for name in means:  # of all clones, in both checkpoints
        np.testing.assert_allclose(workers.variables[name], clones.variables[name], atol=1e-4)


def test_a_run_resumes_on_another_number_of_workers_with_the_same_examples(digits, tmp_path):
    undisturbed = outcome(tmp_path / "one", digits, global_batch=12, steps=9, **LENET)
    run = tmp_path / "run"
    train(run, digits, workers=2, global_batch=12, steps=3, **LENET)
    train(run, digits, workers=1, global_batch=12, steps=6, **LENET)
    output = train(run, digits, workers=3, global_batch=12, steps=9, **LENET)
    assert "global batch 12 = 3 workers x 4" in output
    assert "same examples in the same batches" in output
    resumed = Outcome(test_workers.losses(run), test_workers.variables(run), output)
    check_same(resumed, undisturbed)
