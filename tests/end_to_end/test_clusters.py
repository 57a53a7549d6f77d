"""The same global batch on any number of workers and clones is the same training step.

Workers are processes on the loopback interface, clones are logical devices of the CPU. Dropout,
which each clone draws for itself, is disabled.
"""

import collections
import csv
import json
import re
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
# LeNet with batch norm after both convolutions.
BATCH_NORM = """
import slim
original = lenet.lenet_arg_scope
def with_batch_norm(weight_decay=0.0):
    with slim.arg_scope(original(weight_decay)), slim.arg_scope([slim.batch_norm], decay=0.9):
        with slim.arg_scope([slim.conv2d], normalizer_fn=slim.batch_norm) as scope:
            return scope
lenet.lenet_arg_scope = with_batch_norm
"""
# A higher learning rate amplifies rounding.
LENET = {"model_name": "lenet", "weight_decay": 0.001, "learning_rate": 0.0002}
MOBILENET = {
    "model_name": "mobilenet_v1_025", "train_image_size": 32, "batch_norm_decay": 0.9,
    "sync_batch_norm": True, "moving_average_decay": 0.9, "learning_rate": 0.001,
}  # fmt: skip


def train(run, digits, workers=1, clones=1, global_batch=32, steps=10, batch_norm=False, **options):
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
    head, _, tail = SCRIPT.partition("import train")
    script = f"{head}{BATCH_NORM if batch_norm else ''}import train{tail}"
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", script, *flags, f"--task={task}"],
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
        np.testing.assert_allclose(
            ours.variables[name], value, rtol=1e-5, atol=tolerance, err_msg=name
        )


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


# The last of batches of 168 has 24 of the 360 images: of several workers, the last have none.
@pytest.mark.parametrize("workers, clones", [(1, 4), (2, 1), (3, 1), (2, 2)])
def test_an_evaluation_is_that_of_one_clone(evaluated, workers, clones):
    alone, both = evaluated(1, 1), evaluated(workers, clones)
    assert len(both.rows) == len(alone.rows) == 361
    for ours, theirs in zip(both.rows[1:], alone.rows[1:], strict=True):
        assert ours[:5] == theirs[:5]  # the place, the label and the most probable class
        probabilities = [[float(each) for each in row[5::2]] for row in (ours, theirs)]
        np.testing.assert_allclose(*probabilities, rtol=1e-4)
    rounded = ("loss", "calibration_error")  # the others follow from exact counts
    for name, value in alone.json.items():
        assert both.json[name] == (pytest.approx(value, rel=1e-5) if name in rounded else value)
    assert both.json["num_images"] == 360
    lines = [line for line in alone.out.splitlines() if not re.search("loss|calibration", line)]
    assert lines == [line for line in both.out.splitlines() if line in lines]


Evaluated = collections.namedtuple("Evaluated", "out json rows")


@pytest.fixture
def evaluated(digits, trained, tmp_path):
    """Returns a function that evaluates, and returns what the first worker printed and wrote."""

    def run(workers, clones):
        name = tmp_path / f"{workers}_{clones}"
        flags = [
            f"--train_dir={trained}", f"--dataset_dir={digits}", "--batch_size=168",
            f"--num_clones={clones}", f"--split_cpu={clones if clones > 1 else 0}",
            f"--eval_json={name}.json", f"--predictions_csv={name}.csv", f"--eval_dir={name}",
        ]  # fmt: skip
        if workers > 1:
            ports = test_workers.free_ports(workers)
            master = ",".join(f"127.0.0.1:{port}" for port in ports)
            flags += [f"--worker_replicas={workers}", f"--master={master}"]
        processes = [
            subprocess.Popen(
                commands.command("eval_image_classifier", *flags, f"--task={task}"),
                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            )
            for task in range(workers)
        ]  # fmt: skip
        outputs = test_workers.finish(processes)
        for out, _ in outputs[1:]:
            assert re.fullmatch("worker . of .*: waiting for the others\n", out)
        values = json.loads((tmp_path / f"{name}.json").read_text())
        rows = list(csv.reader((tmp_path / f"{name}.csv").read_text().splitlines()))
        return Evaluated(outputs[0][0], values, rows)

    return run


def test_ten_steps_with_synchronized_batch_norm(digits, tmp_path):
    options = LENET | {"batch_norm": True, "sync_batch_norm": True}
    options |= {"optimizer": "sgd", "learning_rate": 1e-5}  # the loss falls from 27 to 20 at once
    one = outcome(tmp_path / "one", digits, **options)
    assert sum(name.endswith("moving_variance") for name in one.variables) == 2
    for workers, clones in ((1, 2), (1, 4), (2, 1), (2, 2)):
        run = tmp_path / f"{workers}x{clones}"
        check_same(outcome(run, digits, workers=workers, clones=clones, **options), one)
    three = {"workers": 3, "global_batch": 30, **options}
    one = outcome(tmp_path / "30", digits, **three | {"workers": 1})
    check_same(outcome(tmp_path / "three", digits, **three), one)
    alone = outcome(tmp_path / "alone", digits, clones=2, **options | {"sync_batch_norm": False})
    assert abs(alone.losses / one.losses - 1).max() > 1e-3


def test_synchronized_batch_norm(digits, tmp_path):
    # A single step: this network amplifies rounding. In one process with one clone, its gradients
    # change by 4 % if the images are multiplied by 1 + 1e-6 or are in another order, and its losses
    # then by 1e-3 after one step and by 1e-2 after two.
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
