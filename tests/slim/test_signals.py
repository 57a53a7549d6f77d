"""Signals while Python runs, waits in the C library, or cleans up."""

import ctypes
import pathlib
import signal
import subprocess
import sys
import threading
import time
import types

import pytest

from slim import signals
from slim.signals import Stopped, deferred, noted, raise_on_signals, stop_on_signals
from tests import source_tree

# The second lock of a mutex blocks forever in the C library, as a step of TensorFlow may.
BLOCKED = """
import ctypes
from slim.signals import stop_on_signals
library, mutex = ctypes.CDLL(None), ctypes.create_string_buffer(64)
library.pthread_mutex_lock(mutex)
with stop_on_signals():
    print("waiting", flush=True)
    library.pthread_mutex_lock(mutex)
"""
PATIENT = """
import signal, time
from slim.signals import stop_on_signals
signal.signal(signal.SIGINT, signal.default_int_handler)  # jobs of a shell may ignore it
with stop_on_signals() as stop:
    print("waiting", flush=True)
    while not stop:
        time.sleep(0.01)
    print(stop.signal.name, flush=True)
    time.sleep(60)
"""


@pytest.fixture(autouse=True)
def _hangup_is_not_ignored():
    """Resets SIGHUP, which is ignored if the tests run under nohup."""
    former = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, former)


@pytest.fixture
def started():
    """Returns a function that starts Python code and waits until it prints "waiting"."""
    processes = []

    def start(code):
        process = subprocess.Popen(
            [sys.executable, "-c", code],
            cwd=source_tree.ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        processes.append(process)
        assert process.stdout.readline() == "waiting\n"
        return process

    yield start
    for process in processes:
        process.kill()
        process.wait()
        process.stdout.close()
        process.stderr.close()


def wait_until_asleep(process):
    """Returns when the main thread slept at five checks in a row: it waits for the lock."""
    checks = 0
    while checks < 5:
        status = pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/stat").read_text()
        checks = checks + 1 if status.rpartition(")")[2].split()[0] == "S" else 0
        time.sleep(0.1)


@pytest.mark.parametrize(
    "number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow)]
)
def test_second_signal_ends_a_blocked_process(started, number):
    process = started(BLOCKED)
    wait_until_asleep(process)
    process.send_signal(number)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(timeout=0.3)
    process.send_signal(number)
    _, error = process.communicate(timeout=30)
    assert process.returncode == 128 + number
    assert error == f"second signal, {number.name}: ended without saving\n"


def test_second_signal_raises_where_python_runs(started):
    process = started(PATIENT)
    process.send_signal(signal.SIGINT)
    assert process.stdout.readline() == "SIGINT\n"
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=30)
    assert "KeyboardInterrupt" in error


def test_signal_handlers_are_restored():
    before = threading.active_count(), signal.getsignal(signal.SIGTERM)
    with stop_on_signals() as stop:
        signal.raise_signal(signal.SIGTERM)
        assert stop.signal is signal.SIGTERM
    assert (threading.active_count(), signal.getsignal(signal.SIGTERM)) == before
    assert signal.set_wakeup_fd(-1) == -1


def test_sighup_stops_unless_it_was_ignored():
    with stop_on_signals() as stop:
        signal.raise_signal(signal.SIGHUP)
        assert stop.signal is signal.SIGHUP
    former = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stop_on_signals() as stop, raise_on_signals():
            signal.raise_signal(signal.SIGHUP)
            assert not stop
    finally:
        signal.signal(signal.SIGHUP, former)


def test_stop_requested_by_another_process_is_no_first_signal(monkeypatch):
    times = iter([0.0, 9.0])
    monkeypatch.setattr(signals, "time", types.SimpleNamespace(monotonic=lambda: next(times)))
    with stop_on_signals() as stop:
        signals.request_stop(signal.SIGTERM)
        assert stop.signal is signal.SIGTERM
        signal.raise_signal(signal.SIGINT)  # the first; a second one would be KeyboardInterrupt
        assert stop.signal is signal.SIGTERM


def test_stop_requested_elsewhere_is_the_signal():
    def receive():
        signals.request_stop(signal.SIGTERM)
        time.sleep(10)

    with pytest.raises(Stopped, match="stopped by SIGTERM"), raise_on_signals():
        receive()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_immediately_repeated_signal_counts_once(number, monkeypatch):
    monkeypatch.setattr(signals, "time", types.SimpleNamespace(monotonic=lambda: 5.0))
    with stop_on_signals() as stop:
        signal.raise_signal(number)
        signal.raise_signal(number)
        assert stop.signal is number


def test_signal_raises_once_with_the_notes_of_the_interrupted_work():
    former = signal.getsignal(signal.SIGTERM)
    with (
        pytest.raises(Stopped, match="stopped by SIGTERM") as stopped,
        raise_on_signals(),
        noted(lambda: "two shards are kept"),
    ):
        signal.raise_signal(signal.SIGTERM)
    assert stopped.value.signal is signal.SIGTERM
    assert stopped.value.__notes__ == ["two shards are kept"]
    assert signal.getsignal(signal.SIGTERM) == former


def test_an_error_that_follows_from_a_signal_counts_as_the_signal():
    def fail():
        try:
            signal.raise_signal(signal.SIGHUP)
        except Stopped:
            raise ImportError("interrupted") from None

    with pytest.raises(Stopped, match="stopped by SIGHUP"), raise_on_signals():
        fail()


def test_a_deferred_signal_raises_after_the_block():
    done = []

    def work():
        with deferred():
            signal.raise_signal(signal.SIGTERM)
            done.append("cleanup")
        done.append("not reached")

    with pytest.raises(Stopped), raise_on_signals():
        work()
    assert done == ["cleanup"]


LOST = """
import signal, time
from slim import signals
from slim.signals import Stopped, raise_on_signals
class Deleted:
    def __del__(self):
        signal.raise_signal(signal.SIGTERM)
        time.sleep(0.001)
try:
    with raise_on_signals():
        print("waiting", flush=True)
        Deleted()
        while True:
            time.sleep(0.001)
except Stopped as stopped:
    print(stopped)
"""
CLEANING = """
import signal, time
from slim.signals import raise_on_signals
with raise_on_signals():
    try:
        print("waiting", flush=True)
        time.sleep(60)
    finally:
        print("cleaning", flush=True)
        time.sleep(60)
"""


def test_signal_whose_exception_was_swallowed_raises_again(started):
    out, error = started(LOST).communicate(timeout=30)
    assert (out, error) == ("stopped by SIGTERM\n", "")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_a_cleanup(started, number):
    process = started(CLEANING)
    process.send_signal(signal.SIGTERM)
    assert process.stdout.readline() == "cleaning\n"
    time.sleep(0.3)  # longer than an echo
    process.send_signal(number)
    _, error = process.communicate(timeout=30)
    assert process.returncode == 128 + number
    assert error == f"second signal, {number.name}: ended without saving\n"


def test_handlers_that_native_code_replaced_are_installed_again():
    received = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: received.append(number))
    try:
        ctypes.CDLL(None).signal(signal.SIGTERM, ctypes.c_void_p(1))  # SIG_IGN
        signal.raise_signal(signal.SIGTERM)
        assert not received
        signals.renew()
        signal.raise_signal(signal.SIGTERM)
        assert received == [signal.SIGTERM]
    finally:
        signal.signal(signal.SIGTERM, before)
