"""A coordinator and the processes that serve it, here threads, without TensorFlow's servers."""

import concurrent.futures
import contextlib
import os
import signal
import socket
import threading
import time
import types

import pytest

from classifier.cluster import coordinator, facts, interfaces, server, side
from classifier.config import options
from classifier.config.training import TrainConfig
from classifier.resolve.cluster import Cluster
from slim import _checks, parameter_servers, signals

WORKERS, SERVERS = (1, 2), (3, 4)


class Stop(signals.StopRequest):
    """A request that can also end a process at once."""

    def __bool__(self):
        if self.signal == signal.SIGKILL:
            raise RuntimeError("killed")
        return super().__bool__()


@pytest.fixture(autouse=True)
def here(monkeypatch):
    """No TensorFlow, quick answers, and no process that ends; returns the stop requests by task."""
    stops = {task: Stop() for task in range(5)}
    monkeypatch.setattr(interfaces, "check", lambda is_allowed: None)
    monkeypatch.setattr(facts, "of_servers", lambda config: {"options": {"seed": config.run.seed}})
    for module in (coordinator, server):
        monkeypatch.setattr(module, "leave_at_once", lambda code: None)
        monkeypatch.setattr(module, "SIGN_SECONDS", 0.05)
    for module in (side, server):
        monkeypatch.setattr(module, "POLL_SECONDS", 0.02)
    monkeypatch.setattr(server, "_GRACE", 0.1)
    monkeypatch.setattr(
        signals, "stop_on_signals", lambda: contextlib.nullcontext(stops[_thread.task])
    )
    return stops


_thread = threading.local()


@pytest.fixture
def job(here):
    """Returns functions that run the coordinator and start another process."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(5)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        hosts = tuple(f"127.0.0.1:{each.getsockname()[1]}" for each in sockets)
    pool = concurrent.futures.ThreadPoolExecutor(8)

    def config(timeout=60.0, seed=1):
        values = {"train_dir": "x", "dataset_dir": "x", "dataset_name": "x", "seed": seed}
        return options.build(TrainConfig, worker_timeout_secs=timeout, **values)

    def serve(task, **more):
        def run():
            _thread.task = task
            server.serve(Cluster(hosts, task, "", 2), config(**more), object)

        return pool.submit(run)

    def joined(**more):
        run = types.SimpleNamespace(config=config(**more))
        return coordinator.joined(Cluster(hosts, 0, "", 2), run)

    with pool:
        yield types.SimpleNamespace(serve=serve, joined=joined, hosts=hosts, stops=here)


def all_of(job):
    return {task: job.serve(task) for task in (*WORKERS, *SERVERS)}


def seen(capsys, text):
    """Waits until a text is printed."""
    out, deadline = "", time.monotonic() + 60
    while text not in out:
        assert time.monotonic() < deadline, out
        out += capsys.readouterr().out
        time.sleep(0.02)


def test_all_end_when_the_coordinator_is_done(job):
    processes = all_of(job)
    with job.joined():
        assert not any(each.done() for each in processes.values())
    assert [each.result(60) for each in processes.values()] == [None] * 4


def test_a_worker_may_end_and_come_back(job, capsys):
    processes = all_of(job)
    with job.joined():
        job.stops[2].signal = signal.SIGTERM
        with pytest.raises(signals.Preempted, match=r"worker 1 \(task 2, .*: stopped by SIGTERM"):
            processes[2].result(60)
        seen(capsys, "training continues with 1 of 2 workers until it is started again")
        job.stops[2].signal = None
        processes[2] = job.serve(2)
        seen(capsys, f"worker 1 (task 2, {job.hosts[2]}) is back")
    assert processes[2].result(60) is None


@pytest.mark.parametrize(
    "error, kind, text",
    [
        (signals.Preempted("stopped by SIGTERM at step 3"), signals.Preempted, "was stopped by SI"),
        (_checks.RunError("bad image"), _checks.RunError, "the coordinator failed: bad image"),
    ],
)
def test_all_end_as_the_coordinator_does(job, error, kind, text):
    processes = all_of(job)
    with pytest.raises(type(error), match=str(error)), job.joined():
        raise error
    for each in processes.values():
        with pytest.raises(kind, match=text):
            each.result(60)


def test_a_lost_server_is_named_and_ends_all(job):
    processes = all_of(job)
    name = rf"parameter server 1 \(task 4, {job.hosts[4]}\)"
    text = f"{name} ended, and its variables are lost"

    def train():
        job.stops[4].signal = signal.SIGKILL
        processes[4].exception(60)
        raise parameter_servers.ServerLostError("which?")

    with pytest.raises(_checks.RunError, match=text), job.joined():
        train()
    with pytest.raises(_checks.RunError, match=f"the coordinator failed: {name} ended"):
        processes[1].result(60)


def test_signals_to_servers_stop_the_coordinator_once(job, monkeypatch, capsys):
    requests = []
    monkeypatch.setattr(signals, "request_stop", requests.append)
    processes = all_of(job)

    def train():
        for task in SERVERS:
            job.stops[task].signal = signal.SIGINT
        seen(capsys, "received a signal: all save and end")
        time.sleep(0.3)  # longer than a worker serves after a signal
        assert not any(each.done() for each in processes.values())
        raise signals.Preempted("stopped by SIGTERM")

    with pytest.raises(signals.Preempted), job.joined():
        train()
    for each in processes.values():
        with pytest.raises(signals.Preempted, match="the coordinator was stopped by SIGTERM"):
            each.result(60)
    assert requests == [signal.SIGTERM]


@pytest.mark.parametrize(
    "silent, text", [(True, "has not responded for"), (False, "no worker came")]
)
def test_a_blocked_coordinator_ends_in_time(job, monkeypatch, silent, text):
    processes, ended = all_of(job), []
    monkeypatch.setattr(os, "_exit", ended.append)
    monkeypatch.setattr(coordinator, "_GRACE", 0.3)
    with job.joined(timeout=2):
        for task in WORKERS:
            if silent:  # it hangs
                monkeypatch.setattr(server, "SIGN_SECONDS", 60.0)
            else:
                job.stops[task].signal = signal.SIGTERM
        deadline = time.monotonic() + 60
        while not ended and time.monotonic() < deadline:
            time.sleep(0.02)
    assert ended == [1]
    for each in processes.values():
        assert text in str(each.exception(60)) or isinstance(each.exception(60), signals.Preempted)


def test_without_a_coordinator_or_a_process_all_end_in_time(job):
    with pytest.raises(_checks.RunError, match="the coordinator cannot be reached: Connection ref"):
        job.serve(1, timeout=0.2).result(60)
    text = r"worker 0 \(task 1, .*\) did not start or cannot reach this one"
    with pytest.raises(_checks.RunError, match=text), job.joined(timeout=0.2):
        raise AssertionError


def test_a_signal_ends_the_wait_for_the_coordinator(job):
    job.stops[1].signal = signal.SIGTERM
    with pytest.raises(signals.Preempted, match="stopped by SIGTERM"):
        job.serve(1).result(60)


def test_different_options_are_an_error(job):
    process = job.serve(2, seed=7)
    text = "the processes differ: --seed differs: 1 on task 0, 7 on task 2"
    with pytest.raises(_checks.UserError, match=text), job.joined():
        raise AssertionError
    with pytest.raises(_checks.UserError, match=text):
        process.result(60)


@pytest.mark.parametrize(
    "message, text",
    [
        ({"protocol": "HTTP"}, "another version of slim"),
        ({"hosts": ["x:1"]}, "the addresses differ"),
        ({"task": 1}, "task 1 was already started"),
        ({"task": 9}, "task 9 was already started"),
    ],
)
def test_strangers_are_refused(job, message, text):
    all_of(job)
    with job.joined():
        host, port = job.hosts[0].split(":")
        with socket.create_connection((host, int(port))) as connection:
            channel = coordinator.Channel(connection.dup())
            hello = {"protocol": coordinator.PROTOCOL, "task": 2, "hosts": list(job.hosts)}
            channel.send(**(hello | {"facts": {"options": {"seed": 1}}} | message))
            deadline, messages = time.monotonic() + 60, []
            while not any("refused" in each for each in messages):
                assert time.monotonic() < deadline
                messages += channel.receive()
            channel.close()
    assert text in next(each["refused"] for each in messages if "refused" in each)


@pytest.mark.parametrize(
    "error, code",
    [
        (signals.Stopped(signal.SIGTERM), 143),
        (signals.Preempted(), 75),
        (_checks.UserError("x"), 2),
        (RuntimeError(), 1),
    ],
)
def test_exit_codes(error, code):
    assert coordinator.exit_code(error) == code
