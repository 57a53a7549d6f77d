"""Workers, here threads, meet at their addresses."""

import concurrent.futures
import contextlib
import errno
import json
import re
import signal
import socket
import threading
import time
from unittest import mock

import pytest

from classifier.cluster import meeting, other, side
from classifier.resolve.cluster import Cluster
from slim import _checks, signals

_opened = []


@pytest.fixture(autouse=True)
def connections_are_closed():
    yield
    while _opened:
        _opened.pop().close()


FACTS = {"options": {"seed": 1}}


def free_addresses(count):
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return tuple(f"127.0.0.1:{each.getsockname()[1]}" for each in sockets)


def meet(hosts, tasks, facts=None, timeout=5.0):
    """Returns the result of each worker, or its error."""

    def of(task):
        try:
            own = (facts or {}).get(task, FACTS)
            links = meeting.meet(Cluster(hosts, task), own, timeout)
            _opened.extend(channel for channels in links.values() for channel in channels)
            return links
        except (_checks.UserError, _checks.RunError) as error:
            return error

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        return list(pool.map(of, tasks))


def test_workers_meet_and_are_connected_both_ways():
    chief, *others = meet(free_addresses(3), (0, 1, 2))
    assert {task: len(channels) for task, channels in chief.items()} == {1: 2, 2: 2}
    assert [set(links) for links in others] == [{0, 2}, {0, 1}]
    for task, links in enumerate(others, 1):
        for mine, theirs in zip(links[0], chief[task], strict=True):
            mine.send(number=task)
            theirs.send(number=-task)
            side.wait_for([mine], 1)
            side.wait_for([theirs], 1)
            assert theirs.receive() == [{"number": task}]
            assert mine.receive()[-1] == {"number": -task}


def test_all_workers_learn_what_differs():
    facts = {1: {"options": {"seed": 2}}}
    errors = meet(free_addresses(3), (0, 1, 2), facts)
    assert {type(error) for error in errors} == {_checks.UserError}
    text = "the workers differ: --seed differs: 1 on workers 0, 2, 2 on worker 1"
    assert {str(error) for error in errors} == {text}


def test_a_missing_worker_is_named_on_all():
    hosts = free_addresses(3)
    for error in meet(hosts, (0, 1), timeout=1.0):
        assert isinstance(error, _checks.RunError)
        message = f"worker 2 ({hosts[2]}) did not start or cannot reach worker 0 ({hosts[0]})"
        assert str(error).startswith(message)


def test_without_worker_0_the_others_name_it():
    hosts = free_addresses(2)
    (error,) = meet(hosts, (1,), timeout=1.0)
    assert str(error) == (
        f"worker 0 ({hosts[0]}) cannot be reached: Connection refused (worker_timeout_secs=1). No"
        " work was lost"
    )


@pytest.mark.slow
def test_a_missing_worker_is_reported_each_minute(monkeypatch, capsys):
    monkeypatch.setattr(side, "_REPORT_SECONDS", 0.2)
    hosts = free_addresses(2)
    meet(hosts, (0,), timeout=1.2)
    line = f"worker 0: still waiting: worker 1 ({hosts[1]}) did not start or cannot reach worker 0"
    assert capsys.readouterr().out.count(line) >= 2


def test_an_address_in_use_is_an_error():
    hosts = free_addresses(2)
    with socket.create_server(side.split(hosts[1])):
        (error,) = meet(hosts, (1,))
    expected = f"worker 1 cannot listen at {hosts[1]}: Address already in use. Stop the program"
    assert str(error).startswith(expected)


@pytest.mark.parametrize(
    "host, others", [("127.0.0.1", False), ("localhost", True), ("192.0.2.77", True)]
)
def test_a_numeric_address_is_its_interface_and_others_are_all(host, others):
    (address,) = free_addresses(1)
    port = side.split(address)[1]
    with side.listening(Cluster((f"{host}:{port}", "b:1"), 0)):
        for place, is_open in (("127.0.0.1", True), ("127.0.0.2", others)):
            with socket.socket() as client:
                assert (client.connect_ex((place, port)) == 0) == is_open


@pytest.mark.slow
def test_an_address_that_is_not_reachable_is_named():
    hosts = free_addresses(2)
    with mock.patch.object(side.socket, "create_connection", wraps=socket.create_connection) as c:
        c.side_effect = lambda place, *rest: (
            _refuse() if place == side.split(hosts[1]) else mock.DEFAULT
        )
        errors = meet(hosts, (0, 1), timeout=1.5)
    for error in errors:
        message = f"worker 1 ({hosts[1]}) cannot be reached at its address: Connection refused"
        assert str(error).startswith(message)


@pytest.mark.slow
def test_neighbors_that_cannot_reach_each_other_are_named():
    hosts = free_addresses(3)
    connect = side.Side.connect
    with mock.patch.object(side.Side, "connect", autospec=True) as patched:
        patched.side_effect = lambda self, task: (
            _refuse() if (self.cluster.task, task) == (1, 2) else connect(self, task)
        )
        errors = meet(hosts, (0, 1, 2), timeout=4.0)
    text = f"worker 1 ({hosts[1]}) cannot reach worker 2 ({hosts[2]}): Connection refused"
    assert [str(error).startswith(text) for error in errors] == [True] * 3


def _refuse():
    raise OSError(errno.ECONNREFUSED, "Connection refused")


@pytest.mark.slow
def test_a_task_that_was_started_twice_is_an_error():
    hosts = free_addresses(3)
    with mock.patch.object(meeting, "listening", _anywhere):
        chief, *twice = meet(hosts, (0, 1, 1), timeout=2.0)
    texts = [str(error) for error in twice]
    assert any("worker 1 was already started; start each worker with its own" in t for t in texts)
    assert "worker 2" in str(chief)


@contextlib.contextmanager
def _anywhere(cluster):
    host, port = side.split(cluster.hosts[cluster.task])
    with socket.socket() as listener:
        listener.bind((host, 0 if cluster.task else port))
        listener.listen()
        listener.setblocking(False)
        yield listener


@pytest.mark.slow
def test_different_addresses_are_an_error():
    hosts = free_addresses(2)
    others = (hosts[0], "127.0.0.1:1")
    with mock.patch.object(meeting, "listening", _anywhere):
        with concurrent.futures.ThreadPoolExecutor() as pool:
            chief = pool.submit(meet, hosts, (0,), timeout=1.5)
            (error,) = meet(others, (1,))
        chief.result()
    assert re.match(r"the workers' addresses differ: .* on worker 0, .*'127.0.0.1:1'", str(error))


@pytest.mark.slow
def test_another_protocol_is_an_error():
    hosts = free_addresses(2)
    with concurrent.futures.ThreadPoolExecutor() as pool:
        chief = pool.submit(meet, hosts, (0,), timeout=1.5)
        with mock.patch.object(other, "PROTOCOL", "old"):
            (error,) = meet(hosts, (1,))
        chief.result()
    assert str(error) == "worker 0 runs another version of slim"


def test_other_programs_at_an_address_are_ignored():
    hosts = free_addresses(2)

    def disturb():
        for text in (b"GET / HTTP/1.0\r\n\r\n", b"[" * 100_000 + b"\n", b"", b"3\n"):
            with contextlib.suppress(OSError):
                with socket.create_connection(side.split(hosts[0]), 1) as connection:
                    connection.sendall(text)
                    time.sleep(0.05)

    with concurrent.futures.ThreadPoolExecutor() as pool:
        results = pool.submit(meet, hosts, (0,))
        time.sleep(0.1)
        disturb()
        assert not isinstance(meet(hosts, (1,))[0], Exception)
        assert not isinstance(results.result()[0], Exception)


def test_a_worker_that_leaves_may_come_again():
    hosts = free_addresses(3)
    with concurrent.futures.ThreadPoolExecutor() as pool:
        others = pool.submit(meet, hosts, (0, 1))
        time.sleep(0.2)
        hello = {"protocol": side.PROTOCOL, "task": 2, "hosts": hosts, "facts": FACTS}
        with socket.create_connection(side.split(hosts[0])) as connection:
            connection.sendall(json.dumps(hello).encode() + b"\n")
            time.sleep(0.3)
        errors = [*meet(hosts, (2,)), *others.result()]
        assert not [str(each) for each in errors if isinstance(each, Exception)]


def test_a_signal_ends_the_wait_at_once():
    threading.Timer(0.3, signal.raise_signal, [signal.SIGTERM]).start()
    since = time.monotonic()
    with pytest.raises(signals.Stopped), signals.raise_on_signals():
        meeting.meet(Cluster(free_addresses(2), 0), FACTS, 60.0)
    assert time.monotonic() - since < 2


@pytest.mark.parametrize(
    "count, limits, raised",
    [(300, (1024, 4096), None), (2000, (1024, 4096), 2000), (9000, (1024, 4096), 4096)],
)
def test_worker_0_may_open_a_connection_to_each_worker(count, limits, raised, monkeypatch):
    calls = []
    monkeypatch.setattr(meeting.resource, "getrlimit", lambda kind: limits)
    monkeypatch.setattr(meeting.resource, "setrlimit", lambda kind, pair: calls.append(pair))
    meeting._raise_file_limit(count)
    assert calls == ([] if raised is None else [(raised, 4096)])
