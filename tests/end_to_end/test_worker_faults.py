"""Faults of workers: the others end in time and name the cause, and a restart resumes exactly.

Each fault happens at SLIM_FAULT_TRIALS random moments (default: 1), drawn from SLIM_FAULT_SEED,
which is printed. `SLIM_FAULT_TRIALS=10 pytest -s -m slow -k moment FILE` prints every outcome.
"""

import contextlib
import dataclasses
import os
import random
import signal
import subprocess
import sys
import time

import commands
import numpy as np
import pytest
from test_workers import free_ports, variables

pytestmark = pytest.mark.slow

TIMEOUT = 20
STEPS = 40
TRIALS = int(os.environ.get("SLIM_FAULT_TRIALS", "1"))
SEED = os.environ.get("SLIM_FAULT_SEED", str(random.randrange(1000)))


@dataclasses.dataclass(frozen=True)
class Moment:
    """A worker, and when it has its fault: `seconds` after a step, or after training was started
    at step 0."""

    victim: int
    step: int
    seconds: float

    @classmethod
    def draw(cls, kind, trial):
        generator = random.Random(f"{SEED} {kind} {trial}")
        victim, step = generator.randrange(2), max(0, generator.randrange(-5, 25))
        return cls(victim, step, generator.uniform(0, 0.3 if step else 5))

    def wait(self, run, processes):
        while not self._is_reached(run):
            assert all(each.poll() is None for each in processes), errors(run, 0) + errors(run, 1)
            time.sleep(0.02)
        time.sleep(self.seconds)

    def _is_reached(self, run):
        if not self.step:
            with open(f"{run}.0.out") as file:
                return "Starting at step 0" in file.read()
        metrics = run / "metrics.jsonl"
        return metrics.exists() and metrics.read_bytes().count(b"\n") >= self.step


def flags(run, digits, hosts, task, **more):
    options = {
        "worker_replicas": len(hosts), "master": ",".join(hosts), "task": task, "batch_size": 8,
        "save_interval_steps": 7, "worker_timeout_secs": TIMEOUT, "log_every_n_steps": 1,
    } | more  # fmt: skip
    return commands.train_flags(run, digits, STEPS, **options)


def start(run, digits, hosts, prefixes=((), ()), tasks=(0, 1), **more):
    """Starts workers; their output is in files next to the run."""
    processes = []
    for task in tasks:
        prefix = prefixes[task]
        command = commands.command(
            "train_image_classifier", *flags(run, digits, hosts, task, **more)
        )
        with open(f"{run}.{task}.out", "ab") as out, open(f"{run}.{task}.err", "wb") as err:
            processes.append(subprocess.Popen([*prefix, *command], stdout=out, stderr=err))
    return processes


def errors(run, task):
    with open(f"{run}.{task}.err", encoding="utf-8") as file:
        return [line for line in file.read().splitlines() if line.startswith("train_image_cl")]


def loopback(count=2):
    return [f"127.0.0.1:{port}" for port in free_ports(count)]


@contextlib.contextmanager
def two_machines():
    """Yields addresses, command prefixes and the function that cuts the connection, of two network
    namespaces."""
    names = [f"slim{os.getpid()}{side}" for side in "ab"]

    def ip(*arguments):
        subprocess.run(["ip", *arguments], check=True, capture_output=True)

    try:
        for name in names:
            ip("netns", "add", name)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("network namespaces need ip and root")
    try:
        ip("link", "add", "v0", "netns", names[0], "type", "veth", "peer", "v1", "netns", names[1])
        for index, name in enumerate(names):
            ip("-n", name, "addr", "add", f"10.79.0.{index + 1}/24", "dev", f"v{index}")
            for device in ("lo", f"v{index}"):
                ip("-n", name, "link", "set", device, "up")
        prefixes = [("ip", "netns", "exec", name) for name in names]
        yield (
            ["10.79.0.1:2222", "10.79.0.2:2222"],
            prefixes,
            lambda: ip("-n", names[0], "link", "set", "v0", "down"),
        )
    finally:
        for name in names:
            ip("netns", "del", name)


@pytest.fixture(scope="module")
def undisturbed(digits, tmp_path_factory):
    run = tmp_path_factory.mktemp("undisturbed") / "run"
    for process in start(run, digits, loopback()):
        assert process.wait(300) == 0
    return variables(run)


def ended(run, process, task, since):
    """Checks that a worker ends in time, and returns its one line and the seconds."""
    assert process.wait(TIMEOUT + 60) == 1
    seconds = time.monotonic() - since
    assert seconds < TIMEOUT + 2
    (line,) = errors(run, task)
    return line, seconds


def check_restart(run, digits, hosts, undisturbed):
    for process in start(run, digits, hosts):
        assert process.wait(300) == 0
    ours = variables(run)
    assert sorted(ours) == sorted(undisturbed)
    for name, value in undisturbed.items():
        np.testing.assert_array_equal(ours[name], value, err_msg=name)


def lose_worker(kind, run, digits, moment):
    """Lets a worker die, hang or lose its network; the other one has to end in time and name it."""
    victim = moment.victim
    with contextlib.ExitStack() as stack:
        if kind == "cut":
            hosts, prefixes, cut = stack.enter_context(two_machines())
            processes = start(run, digits, hosts, prefixes)
        else:
            hosts = loopback()
            processes = start(run, digits, hosts)
        stack.callback(lambda: [each.kill() for each in processes])
        moment.wait(run, processes)
        since = time.monotonic()
        if kind == "cut":
            cut()
        else:
            number = signal.SIGKILL if kind == "kill" else signal.SIGSTOP
            processes[victim].send_signal(number)
        line, seconds = ended(run, processes[1 - victim], 1 - victim, since)
        assert f"worker {victim} ({hosts[victim]})" in line
        if kind == "cut":  # the other one, likewise
            other, _ = ended(run, processes[victim], victim, since)
            assert f"worker {1 - victim} ({hosts[1 - victim]})" in other
        for process in processes:
            process.kill()
            process.wait()
    print(f"  the other ended after {seconds:.1f} s: {line}")


def stop_all(run, digits, moment):
    """Sends SIGTERM to a worker; both have to save and end."""
    processes = start(run, digits, loopback())
    moment.wait(run, processes)
    processes[moment.victim].send_signal(signal.SIGTERM)
    assert [process.wait(60) for process in processes] == [75, 75]
    print(f"  both ended with 75, checkpoints {sorted(commands.checkpoint_steps(run))}")


@pytest.mark.parametrize("trial", range(TRIALS))
@pytest.mark.parametrize("kind", ["kill", "stop", "cut", "sigterm"])
def test_a_fault_at_any_moment_ends_all_and_a_restart_is_exact(
    kind, trial, digits, undisturbed, tmp_path
):
    run, moment = tmp_path / "run", Moment.draw(kind, trial)
    print(f"SLIM_FAULT_SEED={SEED} {kind} {trial}: {moment}")
    if kind == "sigterm":
        stop_all(run, digits, moment)
    else:
        lose_worker(kind, run, digits, moment)
    check_restart(run, digits, loopback(), undisturbed)
    print("  restarted: equal to the undisturbed run")


def test_a_worker_that_never_starts_ends_the_other(digits, tmp_path):
    hosts = loopback()
    run = tmp_path / "run"
    for task in (0, 1):
        (process,) = start(run, digits, hosts, tasks=[task], worker_timeout_secs=3)
        assert process.wait(60) == 1
        (line,) = errors(run, task)
        assert f"worker {1 - task} ({hosts[1 - task]})" in line
        assert "(--worker_timeout_secs=3). No work was lost" in line
    assert not (run / "metrics.jsonl").exists()


def test_a_signal_ends_a_worker_that_waits_at_once(digits, tmp_path):
    run = tmp_path / "run"
    (process,) = start(run, digits, loopback(), tasks=[0])
    while b"waiting for the others" not in (tmp_path / "run.0.out").read_bytes():
        assert process.poll() is None
        time.sleep(0.1)
    time.sleep(1)
    process.send_signal(signal.SIGTERM)
    since = time.monotonic()
    assert process.wait(20) == 143
    assert time.monotonic() - since < 5
    (line,) = errors(run, 0)
    assert "stopped by SIGTERM" in line


@pytest.mark.parametrize("name, value", [("seed", 1), ("learning_rate", 0.5)])
def test_workers_with_different_flags_are_refused(name, value, digits, tmp_path):
    hosts = loopback()
    run = tmp_path / "run"
    (first,) = start(run, digits, hosts, tasks=[0])
    (second,) = start(run, digits, hosts, tasks=[1], **{name: value})
    assert [first.wait(90), second.wait(90)] == [2, 2]
    for task in (0, 1):
        (line,) = errors(run, task)
        assert f"the workers differ: --{name} differs: " in line
        assert line.endswith(f"on worker 0, {value} on worker 1")


def test_the_launcher_trains_and_starts_a_killed_job_again(digits, undisturbed, tmp_path):
    run = tmp_path / "run"
    script = commands.ROOT / "scripts" / "cluster" / "local.py"
    own = flags(run, digits, ["a:1", "b:1"], 0)
    own = [flag for flag in own if not flag.startswith(("--worker_replicas", "--master", "--task"))]
    launcher = subprocess.Popen(
        [sys.executable, str(script), "--workers=2", "--max_restarts=2", *own],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    Moment(0, 1, 0).wait(run, [launcher])
    workers = subprocess.check_output(["pgrep", "-P", str(launcher.pid)], text=True).split()
    os.kill(int(workers[1]), signal.SIGKILL)
    out, err = launcher.communicate(timeout=300)
    assert launcher.returncode == 0, err
    assert "local.py: restart 1 of 2" in err
    assert "[1] " in out
    for name, value in undisturbed.items():
        np.testing.assert_array_equal(variables(run)[name], value, err_msg=name)
