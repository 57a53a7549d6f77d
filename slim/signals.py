"""Stopping a run in an orderly way when the system asks for it."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

from slim import _checks

EXIT_CODE = 75  # EX_TEMPFAIL of sysexits.h: run the same command again to go on


class Preempted(_checks.RunError):
    """The run saved its state because of a signal and can be resumed by the same command."""


class StopRequest:
    """Whether a signal has come, and which."""

    def __init__(self) -> None:
        self.signal: signal.Signals | None = None

    def __bool__(self) -> bool:
        return self.signal is not None


@contextlib.contextmanager
def termination_as_interrupt() -> Iterator[None]:
    """Makes SIGTERM raise KeyboardInterrupt, as SIGINT does, so that what is half done is removed.

    The former handler comes back at the end. Outside the main thread, where Python allows no
    handlers, nothing changes.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    former = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, former)


@contextlib.contextmanager
def stop_on_signals() -> Iterator[StopRequest]:
    """Turns the first SIGTERM or SIGINT into a request; a second one acts as usual.

    The former handlers come back at the end. Outside the main thread, where Python allows no
    handlers, the request never comes.
    """
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    former = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

    def handle(number: int, frame: FrameType | None) -> None:
        request.signal = signal.Signals(number)
        for each, handler in former.items():
            signal.signal(each, handler)

    for number in former:
        signal.signal(number, handle)
    try:
        yield request
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
