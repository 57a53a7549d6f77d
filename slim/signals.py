"""Stopping a run in an orderly way when the system asks for it."""

import contextlib
import os
import signal
import socket
import threading
from collections.abc import Collection, Iterator
from types import FrameType

from slim import _checks

EXIT_CODE = 75  # EX_TEMPFAIL of sysexits.h: run the same command again to go on

_GRACE = 1.0  # seconds in which a second signal may act as usual


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
    """Turns the first SIGTERM or SIGINT into a request; a second one acts as usual, and ends the
    process where that cannot be, as Python waits for a step or for data.

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
        with _ended_by_a_second(former):
            yield request
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def _ended_by_a_second(numbers: Collection[int]) -> Iterator[None]:
    """Ends the process a while after the second signal. Handlers in Python run between two of its
    lines; the file descriptor of wake-ups is written at once."""
    receiver, sender = socket.socketpair()
    sender.setblocking(False)
    former = signal.set_wakeup_fd(sender.fileno(), warn_on_full_buffer=False)
    over = threading.Event()

    def watch() -> None:
        come: list[int] = []
        while len(come) < 2:
            received = receiver.recv(1)
            if not received:
                return
            come += [number for number in received if number in numbers]
        if not over.wait(_GRACE):
            name = signal.Signals(come[-1]).name
            os.write(2, f"ended by a second signal, {name}; nothing was saved for it\n".encode())
            os._exit(128 + come[-1])

    thread = threading.Thread(target=watch, name="signals", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        signal.set_wakeup_fd(former)
        sender.close()
        thread.join()
        receiver.close()
