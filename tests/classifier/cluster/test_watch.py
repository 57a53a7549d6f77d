"""Supervision: who is lost, what is reported, and how this process ends."""

import contextlib
import os
import socket
import subprocess
import sys
import time
from unittest import mock

import pytest
import tensorflow as tf

from classifier.cluster import interfaces, meeting, watch
from classifier.cluster.channel import Channel
from classifier.config.workers import WorkerOptions
from classifier.resolve.cluster import Cluster
from slim import _checks, signals

CLUSTER = Cluster(("a:1", "b:2", "c:3"), 0)


@pytest.fixture
def others():
    """Channels of the other workers, by task, and the links of worker 0 to them."""
    with contextlib.ExitStack() as stack:
        links, theirs = {}, {}
        for task in (1, 2):
            links[task], theirs[task] = [], []
            for _ in range(2):
                server = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
                one = socket.create_connection(server.getsockname())
                links[task].append(Channel(one))
                theirs[task].append(Channel(server.accept()[0]))
                stack.callback(theirs[task][-1].close)
                stack.callback(links[task][-1].close)
        yield links, theirs


@pytest.fixture
def joined(others, monkeypatch):
    """Returns a function that runs a block as worker 0, without a process that ends."""
    links, _ = others
    exits = []
    monkeypatch.setattr(meeting, "meet", lambda *arguments: links)
    monkeypatch.setattr(os, "_exit", exits.append)
    monkeypatch.setattr(watch.atexit, "register", lambda exit, code: exits.append(("exit", code)))
    options = WorkerOptions(worker_timeout_secs=1.0)

    def run(block):
        exits.clear()
        with watch.joined(CLUSTER, options, dict):
            block()
        return exits

    run.exits = exits
    return run


def wait():
    time.sleep(0.5)


def messages(channels):
    wait()
    return [message for channel in channels for message in channel.receive() if message]


@pytest.mark.parametrize(
    "cause, text",
    [
        (
            lambda one: one.close(),
            "worker 2 (c:3) ended, or its connection was closed. The",
        ),
        (lambda one: one.send(left="failed", why="disk full"), "worker 2 (c:3) failed: disk full"),
        (lambda one: one.send(lost="worker 7 is lost"), "worker 7 is lost"),
    ],
)
def test_a_blocked_process_ends_with_one_line_and_the_others_learn_it(
    cause, text, others, joined, capfd
):
    def block():
        cause(others[1][2][1])
        wait()

    assert joined(block) == [1]
    (line,) = capfd.readouterr().err.splitlines()
    assert text in line
    assert messages(others[1][1])[0]["lost"].startswith(text)


def test_a_silent_worker_is_lost_after_the_timeout(others, joined, capfd):
    def block():
        until = time.monotonic() + 1.2
        while time.monotonic() < until:
            for channel in others[1][1]:
                channel.send()
            time.sleep(0.1)

    assert joined(block) == [1]
    assert "worker 2 (c:3) has not responded for 1 s: it hangs or is cut" in capfd.readouterr().err


def test_a_lost_connection_of_tensorflow_is_explained(others, joined, capfd):
    def block():
        others[1][1][0].close()
        raise tf.errors.UnavailableError(None, None, "Connection reset by peer")

    with pytest.raises(_checks.RunError, match=r"worker 1 \(b:2\) ended, or its connection was"):
        joined(block)
    assert joined.exits == [("exit", 1)]
    assert not capfd.readouterr().err


@pytest.mark.slow
def test_an_unexplained_error_of_tensorflow_remains(others, joined):
    def fail():
        for _ in range(15):
            for channels in others[1].values():
                for channel in channels:
                    channel.send()
            time.sleep(0.1)
        raise tf.errors.UnavailableError(None, None, "no reason")

    with mock.patch.object(watch, "_MOST_SILENT", 100.0):
        with pytest.raises(tf.errors.UnavailableError, match="no reason"):
            joined(fail)


@pytest.mark.parametrize(
    "error, message",
    [
        (None, {"left": "done"}),
        (signals.Preempted("saved"), {"left": "done"}),
        (_checks.RunError("disk full"), {"left": "failed", "why": "disk full"}),
        (signals.Stopped(signals.signal.SIGTERM), {"left": "stopped", "why": "stopped by SIGTERM"}),
    ],
)
def test_the_others_learn_how_this_worker_ends(error, message, others, joined):
    def block():
        if error:
            raise error

    with contextlib.suppress(_checks.RunError, signals.Stopped):
        joined(block)
    assert messages(others[1][2])[-1] == message


def test_a_worker_that_is_done_is_not_missed(others, joined):
    def block():
        for channels in others[1].values():
            for channel in channels:
                channel.send(left="done")
                channel.close()
        wait()

    assert joined(block) == []


def test_a_signal_to_another_worker_before_the_first_step_ends_all_with_75(others, joined, capfd):
    def block():
        others[1][1][0].send(left="stopped", why="stopped by SIGTERM")
        wait()

    assert joined(block) == [75]
    assert "worker 1 (b:2) was stopped by SIGTERM" in capfd.readouterr().err


def test_a_step_that_ends_with_the_other_worker_ends_with_75_too(others, joined):
    def block():
        others[1][1][0].send(left="stopped", why="stopped by SIGTERM")
        raise tf.errors.AbortedError(None, None, "peer")

    with pytest.raises(signals.Preempted, match="worker 1 .* was stopped by SIGTERM"):
        joined(block)
    assert joined.exits == [("exit", 75)]


@pytest.mark.slow
def test_the_process_ends_without_waiting_for_tensorflow():
    code = "from classifier.cluster import side; print('text', end=''); side.leave_at_once(7)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (7, b"text")


def test_a_single_process_is_not_supervised():
    with watch.joined(Cluster(), WorkerOptions(), dict):
        pass


@pytest.mark.parametrize(
    "address, is_public",
    [("192.168.1.5", False), ("8.8.8.8", True), ("fd00::2", False), ("2001:4860:4860::8888", True)],
)
def test_a_public_address_needs_permission(address, is_public, tmp_path, monkeypatch):
    version_6 = ":" in address
    number = int(interfaces.ipaddress.ip_address(address))
    (tmp_path / "4").write_text(
        "Local:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 127.0.0.1\n        /32 host LOCAL\n     |-- "
        f"{'10.0.0.1' if version_6 else address}\n        /32 host LOCAL\n"
        "     |-- 9.9.9.9\n        /32 link BROADCAST\n"
    )
    (tmp_path / "6").write_text(
        "00000000000000000000000000000001 01 80 10 80       lo\n"
        + (f"{number:032x} 02 40 00 80     eth0\n" if version_6 else "")
    )
    monkeypatch.setattr(interfaces, "_FIB_TRIE", str(tmp_path / "4"))
    monkeypatch.setattr(interfaces, "_IF_INET6", str(tmp_path / "6"))
    interfaces.check(is_allowed=True)
    if not is_public:
        interfaces.check(is_allowed=False)
        return
    message = f"this machine has the public address {address}, where .* pass allow_public_bind"
    with pytest.raises(_checks.UserError, match=message):
        interfaces.check(is_allowed=False)


def test_addresses_of_this_machine_without_the_kernels_list(monkeypatch):
    monkeypatch.setattr(interfaces, "_from_kernel", lambda: iter(()))
    places = [(2, 1, 6, "", ("1.1.1.1", 0)), (10, 1, 6, "", ("fe80::1%eth0", 0, 0, 0))]
    monkeypatch.setattr(interfaces.socket, "getaddrinfo", lambda *arguments: places)
    assert list(interfaces.public_addresses()) == ["1.1.1.1"]
