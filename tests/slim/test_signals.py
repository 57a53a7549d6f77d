"""Signals while Python cannot look at them."""

import signal
import subprocess
import sys
import threading

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
import time
from slim.signals import stop_on_signals
with stop_on_signals() as stop:
    print("waiting", flush=True)
    while not stop:
        time.sleep(0.01)
    print(stop.signal.name, flush=True)
    time.sleep(60)
"""


def started(code):
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=source_tree.ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "waiting\n"
    return process


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_what_python_waits_for(number):
    process = started(BLOCKED)
    process.send_signal(number)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(timeout=0.3)
    process.send_signal(number)
    _, error = process.communicate(timeout=30)
    assert process.returncode == 128 + number
    assert error == f"ended by a second signal, {number.name}; nothing was saved for it\n"


def test_a_second_signal_acts_as_usual_where_it_can():
    process = started(PATIENT)
    process.send_signal(signal.SIGINT)
    assert process.stdout.readline() == "SIGINT\n"
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=30)
    assert "KeyboardInterrupt" in error


def test_nothing_is_left_of_it():
    before = threading.active_count(), signal.getsignal(signal.SIGTERM)
    with stop_on_signals() as stop:
        signal.raise_signal(signal.SIGTERM)
        assert stop.signal is signal.SIGTERM
    assert (threading.active_count(), signal.getsignal(signal.SIGTERM)) == before
    assert signal.set_wakeup_fd(-1) == -1
