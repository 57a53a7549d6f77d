"""Signals while Python cannot look at them."""

import pathlib
import signal
import subprocess
import sys
import threading
import time

import pytest

from slim.signals import stop_on_signals
from tests import source_tree

# The second lock of a mutex waits for ever in the C library, as a step of TensorFlow may.
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


@pytest.fixture
def started():
    """Starts Python code that says that it is waiting."""
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
    """Returns when the main thread sleeps, at five looks in a row: then it waits for the lock."""
    looks = 0
    while looks < 5:
        status = pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/stat").read_text()
        looks = looks + 1 if status.rpartition(")")[2].split()[0] == "S" else 0
        time.sleep(0.1)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_second_signal_ends_a_blocked_process(started, number):
    process = started(BLOCKED)
    wait_until_asleep(process)
    process.send_signal(number)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(timeout=0.3)
    process.send_signal(number)
    _, error = process.communicate(timeout=30)
    assert process.returncode == 128 + number
    assert error == f"ended by a second signal, {number.name}; nothing was saved for it\n"


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
