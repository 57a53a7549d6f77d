"""A coordinator, two workers and two parameter servers, each a process, on the digits."""

import json
import re
import signal
import subprocess
import time

import commands
import pytest
from test_workers import free_ports

from slim import checkpoints

pytestmark = pytest.mark.slow

STEPS = 300
COORDINATOR, VICTIM, SERVER = 0, 2, 3  # tasks


class Job:
    """The processes; their output is in files next to the run."""

    def __init__(self, run, digits, **more):
        self.run = run
        hosts = ",".join(f"127.0.0.1:{port}" for port in free_ports(5))
        options = {
            "worker_replicas": 2, "num_ps_tasks": 2, "master": hosts, "steps_per_loop": 10,
            "log_every_n_steps": 10, "moving_average_decay": 0.9, "worker_timeout_secs": 120,
            # Each update is by gradients of older variables, which acts as more momentum.
            "optimizer": "adam", "learning_rate": 0.001, "opt_epsilon": 1e-7, "batch_size": 32,
        } | more  # fmt: skip
        self._flags = commands.train_flags(run, digits, options.pop("steps", STEPS), **options)
        self.processes = {}
        for task in range(5):
            self.start(task)

    def start(self, task):
        command = commands.command("train_image_classifier", *self._flags, f"--task={task}")
        with open(f"{self.run}.{task}.out", "a") as out, open(f"{self.run}.{task}.err", "a") as err:
            self.processes[task] = subprocess.Popen(command, stdout=out, stderr=err)

    def steps(self):
        metrics = self.run / "metrics.jsonl"
        lines = metrics.read_text().splitlines() if metrics.exists() else []
        return [line["step"] for line in map(json.loads, lines) if "loss" in line]

    def wait_for(self, step):
        while (self.steps() or [0])[-1] < step:
            assert self.processes[COORDINATOR].poll() is None, self.errors(COORDINATOR)
            time.sleep(0.1)

    def codes(self):
        return {task: process.wait(600) for task, process in self.processes.items()}

    def output(self, task):
        with open(f"{self.run}.{task}.out") as file:
            return file.read()

    def errors(self, task):
        with open(f"{self.run}.{task}.err") as file:
            return [line for line in file.read().splitlines() if line.startswith("train_image_cl")]


@pytest.fixture
def start(tmp_path, digits):
    jobs = []

    def start(**more):
        jobs.append(Job(tmp_path / "run", digits, **more))
        return jobs[-1]

    yield start
    for process in (process for job in jobs for process in job.processes.values()):
        process.kill()
        process.wait()


@pytest.mark.parametrize("is_killed", [False, True])
def test_the_digits_are_learned_and_no_step_is_lost(start, digits, tmp_path, is_killed):
    job = start()
    if is_killed:
        job.wait_for(100)
        job.processes[VICTIM].kill()
        job.processes[VICTIM].wait()
        job.wait_for(job.steps()[-1] + 50)  # the other worker continues
        job.start(VICTIM)
        name = r"worker 1 \(task 2, 127.0.0.1:\d+\)"
        while not re.search(f"{name} is back", job.output(COORDINATOR)):
            assert job.processes[COORDINATOR].poll() is None
            time.sleep(0.1)
        assert re.search(
            f"{name} ended or its connection was closed; training continues with 1 of 2 workers",
            job.output(COORDINATOR),
        )
    assert set(job.codes().values()) == {0}
    assert job.steps() == list(range(10, STEPS + 1, 10))
    checkpoint = checkpoints.find(job.run)
    assert int(checkpoints.read(checkpoint).get("global_step")) == STEPS
    report, _ = commands.evaluate(checkpoint, digits, tmp_path / "report.json")
    print("accuracy", report["accuracy"])
    assert report["accuracy"] >= 0.95


def test_a_lost_server_ends_the_job_and_a_single_process_resumes_it(start, digits):
    job = start(save_interval_steps=20)
    job.wait_for(60)
    job.processes[SERVER].kill()
    assert job.codes() == {0: 1, 1: 1, 2: 1, 3: -signal.SIGKILL, 4: 1}
    (line,) = job.errors(COORDINATOR)
    assert re.search(r"parameter server 0 \(task 3, 127.0.0.1:\d+\) ended, and its var", line)
    saved = max(commands.checkpoint_steps(job.run))
    more = {"batch_size": 32, "moving_average_decay": 0.9, "log_every_n_steps": 10}
    more |= {"optimizer": "adam", "learning_rate": 0.001, "opt_epsilon": 1e-7}
    flags = commands.train_flags(job.run, digits, saved + 10, **more)
    assert f"from step {saved}" in commands.run("train_image_classifier", *flags).stdout


@pytest.mark.parametrize("task", [COORDINATOR, SERVER])
def test_a_signal_saves_and_ends_all(start, task):
    job = start()
    job.wait_for(30)
    job.processes[task].send_signal(signal.SIGTERM)
    assert set(job.codes().values()) == {75}
    (saved,) = commands.checkpoint_steps(job.run)
    assert saved >= job.steps()[-1]


def test_batch_norm_mixing_and_summaries(start):
    job = start(
        steps=20, model_name="mobilenet_v1_025", train_image_size=32, batch_size=8,
        mixup_alpha=0.2, cutmix_alpha=1.0, label_smoothing=0.1, save_summaries_secs=1,
    )  # fmt: skip
    assert set(job.codes().values()) == {0}
    checkpoint = checkpoints.read(checkpoints.find(job.run))
    mean = checkpoint.get("MobilenetV1/Conv2d_1_depthwise/BatchNorm/moving_mean")
    assert mean.all()
    assert list(job.run.glob("events*"))
