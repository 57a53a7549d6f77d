"""Several workers, each a process, train as one process with the same number of clones."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time

import commands
import numpy as np
import pytest

from slim import checkpoints

pytestmark = pytest.mark.slow


def free_ports(count):
    """Returns unused ports of the loopback interface."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def start(flags, **environment):
    """Starts the training script and returns the process."""
    return subprocess.Popen(
        commands.command("train_image_classifier", *flags),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | environment,
    )


def finish(processes, code=0):
    """Waits for processes, checks their exit codes, and returns each one's stdout and stderr."""
    outputs = []
    for process in processes:
        out, err = process.communicate(timeout=900)  # of a busy machine
        assert process.returncode == code, f"{process.returncode}\n{out}\n{err}"
        outputs.append((out, err))
    return outputs


def workers(train_dir, digits, steps, **more):
    """Starts two workers."""
    master = ",".join(f"127.0.0.1:{port}" for port in free_ports(2))
    flags = commands.train_flags(
        train_dir, digits, steps, worker_replicas=2, master=master, batch_size=8,
        log_every_n_steps=1, **more,
    )  # fmt: skip
    return [start([*flags, f"--task={task}"]) for task in (0, 1)]


def losses(train_dir):
    lines = (train_dir / "metrics.jsonl").read_text().splitlines()
    return np.array([json.loads(line)["loss"] for line in lines])


def variables(train_dir):
    reader = checkpoints.read(checkpoints.find(train_dir))
    return {name: reader.get(name) for name in reader.variables()}


@pytest.fixture(scope="module")
def of_clones(digits, tmp_path_factory):
    """A run of ten steps in one process, with two clones on two logical devices."""
    run = tmp_path_factory.mktemp("clones") / "run"
    flags = commands.train_flags(
        run, digits, 10, num_clones=2, batch_size=8, log_every_n_steps=1, moving_average_decay=0.9
    )
    code = (
        "import sys; from deployment import strategies; strategies.split_cpu(2);"
        "import train_image_classifier as script; sys.exit(script.main())"
    )
    subprocess.run(
        [sys.executable, "-c", code, *flags], cwd=commands.ROOT, check=True, capture_output=True
    )
    return run


def test_two_workers_train_as_two_clones(digits, of_clones, tmp_path):
    run = tmp_path / "run"
    chief, other = finish(workers(run, digits, 10, moving_average_decay=0.9))
    np.testing.assert_allclose(losses(run), losses(of_clones), rtol=1e-5)
    ours, theirs = variables(run), variables(of_clones)
    assert sorted(ours) == sorted(theirs)
    for name, value in theirs.items():
        np.testing.assert_allclose(ours[name], value, atol=1e-5, err_msg=name)
    assert "workers: 2, synchronous" in chief[0]
    assert "global batch 16 = 2 workers x 8" in chief[0]
    # The other one reports that it waits, and writes nothing.
    assert other[0].splitlines()[0].startswith("worker 1 of 127.0.0.1:")
    assert "global step 1:" not in other[0]
    assert sorted(path.name for path in run.iterdir() if path.is_dir()) == []


def test_signal_to_one_worker_stops_all_and_they_resume(digits, of_clones, tmp_path):
    run = tmp_path / "run"
    processes = workers(run, digits, 100_000, moving_average_decay=0.9)
    while not (run / "metrics.jsonl").exists():
        assert processes[0].poll() is None
        time.sleep(0.1)
    processes[1].send_signal(signal.SIGTERM)
    outputs = finish(processes, code=75)
    assert "stopped by a signal to another worker at step" in outputs[0][1]
    assert "stopped by SIGTERM at step" in outputs[1][1]
    steps = len(losses(run)) + 3
    finish(workers(run, digits, steps, moving_average_decay=0.9))
    assert len(losses(run)) == steps
    common = min(10, steps)
    np.testing.assert_allclose(losses(run)[:common], losses(of_clones)[:common], rtol=1e-5)


def test_tf_config_names_the_workers_and_sync_replicas_changes_nothing(digits, of_clones, tmp_path):
    ports = free_ports(2)
    cluster = {"worker": [f"127.0.0.1:{port}" for port in ports]}
    flags = commands.train_flags(
        tmp_path / "run", digits, 2, worker_replicas=2, batch_size=8, log_every_n_steps=1,
        moving_average_decay=0.9, sync_replicas=True, replicas_to_aggregate=2,
    )  # fmt: skip
    outputs = finish(
        [
            start(
                flags,
                TF_CONFIG=json.dumps(
                    {"cluster": cluster, "task": {"type": "worker", "index": index}}
                ),
            )
            for index in (0, 1)
        ]
    )
    assert "global step 2:" in outputs[0][0]
    np.testing.assert_allclose(losses(tmp_path / "run"), losses(of_clones)[:2], rtol=1e-5)
    failed = finish([start([*flags, "--replicas_to_aggregate=1"])], code=2)
    assert "--replicas_to_aggregate=1 must equal --worker_replicas=2" in failed[0][1]


def test_more_workers_than_shards_train(digits, tmp_path):
    finish(workers(tmp_path / "run", digits, 2, dataset_split_name="validation"))
    assert len(losses(tmp_path / "run")) == 2


POISONED = """
import sys
import tensorflow as tf
from classifier.training import run as training
from deployment import strategies

class Poisoned(training.TrainingBatches):
    # The images of batch 3 are NaN, on every worker.
    def __call__(self, first):
        def poison(number, batch):
            factor = tf.where(number == 3, tf.constant(float("nan")), 1.0)
            return batch | {"image": batch["image"] * factor}
        return super().__call__(first).enumerate(first).map(poison)

training.TrainingBatches = Poisoned
if not any(argument.startswith("--worker_replicas") for argument in sys.argv):
    strategies.split_cpu(2)
import train_image_classifier as script
sys.exit(script.main())
"""


def test_workers_roll_back_together_after_a_nan_loss(digits, tmp_path):
    def poisoned(run, max_rollbacks, **more):
        flags = commands.train_flags(
            tmp_path / run, digits, 5, batch_size=8, log_every_n_steps=1, save_interval_steps=2,
            on_nan="restore", max_nan_restores=max_rollbacks, moving_average_decay=0.9, **more,
        )  # fmt: skip
        return subprocess.Popen(
            [sys.executable, "-c", POISONED, *flags],
            cwd=commands.ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    finish([poisoned("clones", 1, num_clones=2)])
    master = ",".join(f"127.0.0.1:{port}" for port in free_ports(2))
    cluster = {"worker_replicas": 2, "master": master}
    chief, _ = finish([poisoned("workers", 1, **cluster, task=task) for task in (0, 1)])
    assert "rolled back to step 2, skipping 2 batch(es) (rollback 1 of 1)" in chief[1]
    rollbacks = json.loads((tmp_path / "workers" / "nan_restores.json").read_text())
    assert rollbacks == [{"step": 2, "failed_step": 3, "skipped": 2}]
    assert len(losses(tmp_path / "workers")) == 5
    np.testing.assert_allclose(losses(tmp_path / "workers"), losses(tmp_path / "clones"), rtol=1e-5)
    ours, theirs = variables(tmp_path / "workers"), variables(tmp_path / "clones")
    for name, value in theirs.items():
        np.testing.assert_allclose(ours[name], value, atol=1e-5, err_msg=name)


def test_worker_that_dies_ends_the_others_with_a_one_line_error(digits, tmp_path):
    run = tmp_path / "run"
    chief, other = workers(run, digits, 100_000, save_interval_steps=1)
    while not checkpoints.latest(run):
        assert chief.poll() is None
        time.sleep(0.1)
    other.kill()
    finish([other], code=-signal.SIGKILL)
    ((_, err),) = finish([chief], code=1)
    errors = [line for line in err.splitlines() if line.startswith("train_image_classifier.py: ")]
    assert len(errors) == 1
    assert "worker 1 (127.0.0.1:" in errors[0]
    assert "ended, or its connection was closed. The last checkpoint is intact" in errors[0]
    assert checkpoints.verify(checkpoints.find(run)) > 8
