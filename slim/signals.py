"""Stops a run cleanly on SIGHUP, SIGINT and SIGTERM."""

import contextlib
import ctypes
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType, TracebackType
from typing import Self

from slim import _checks

EXIT_CODE = 75  # EX_TEMPFAIL of sysexits.h: run the same command again to resume

_GRACE = 1.0  # seconds for Python to handle a second signal
# Of a closed terminal, Ctrl-C, and a job scheduler.
_STOPPING = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)


class Preempted(_checks.RunError):
    """The run saved its state because of a signal and can be resumed by the same command."""


class Stopped(KeyboardInterrupt):
    """The process was stopped by a signal; notes say what remains of the work.

    Attributes:
      signal: the signal.
    """

    def __init__(self, number: signal.Signals) -> None:
        super().__init__(f"stopped by {number.name}")
        self.signal = number


class StopRequest:
    """Whether a signal was received, and which."""

    def __init__(self) -> None:
        self.signal: signal.Signals | None = None

    def __bool__(self) -> bool:
        return self.signal is not None


_requests: list[StopRequest] = []  # of the blocks of `stop_on_signals`, from the outermost


def request_stop(number: signal.Signals) -> None:
    """Acts as a signal that another process of the job has received, from any thread.

    Unlike the signal itself, it is not a second one if this process receives it too.
    """
    if _requests:
        _requests[-1].signal = _requests[-1].signal or number
    else:
        os.kill(os.getpid(), number)


_deferrals = 0
_deferred: Stopped | None = None


@contextlib.contextmanager
def deferred() -> Iterator[None]:
    """Defers the exception of `raise_on_signals` to the end of the block.

    For a cleanup, and for steps that must be followed by one.
    """
    global _deferrals, _deferred
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    _deferrals += 1
    try:
        yield
    finally:
        _deferrals -= 1
        if _deferred is not None and not _deferrals:
            stopped, _deferred = _deferred, None
            raise stopped


@contextlib.contextmanager
def noted(what_remains: Callable[[], str]) -> Iterator[None]:
    """Adds a note to `Stopped`: what remains of the work if the block is stopped."""
    try:
        yield
    except Stopped as stopped:
        stopped.add_note(what_remains())
        raise


class raise_on_signals:
    """Raises `Stopped` in the block at the first signal, so that unfinished work is removed; a
    second signal ends the process.

    An error caused by the signal becomes `Stopped` too. SIGHUP stays ignored if it was (nohup). The
    former handlers are restored at the end. Has no effect outside the main thread, where Python
    allows no handlers.
    """

    def __init__(self) -> None:
        self._stack = contextlib.ExitStack()
        self._signal: signal.Signals | None = None
        self._is_second = _Second()
        self._former_hook = sys.unraisablehook

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._stack.enter_context(_handled(self._handle))
            self._stack.callback(setattr, sys, "unraisablehook", sys.unraisablehook)
            self._former_hook, sys.unraisablehook = sys.unraisablehook, self._hook
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()
        if self._signal and error is not None and not isinstance(error, Stopped):
            stopped = Stopped(self._signal)
            for note in getattr(error, "__notes__", ()):
                stopped.add_note(note)
            raise stopped from error

    def _handle(self, number: int, frame: FrameType | None) -> None:
        global _deferred
        if self._is_second(number):
            _end(number)
        if self._signal:
            return
        self._signal = signal.Signals(number)
        if _deferrals:
            _deferred = Stopped(self._signal)
        else:
            raise Stopped(self._signal)

    def _hook(self, unraisable: "sys.UnraisableHookArgs") -> None:
        """Raises again, a moment later, a `Stopped` that was raised in `__del__` and ignored."""
        if isinstance(unraisable.exc_value, Stopped):
            thread = ctypes.c_ulong(threading.main_thread().ident or 0)
            error = ctypes.py_object(KeyboardInterrupt)
            raise_there = ctypes.pythonapi.PyThreadState_SetAsyncExc
            threading.Timer(0.01, raise_there, [thread, error]).start()
        else:
            self._former_hook(unraisable)


# Maximum seconds between a signal and its echo. On a busy machine, Python's handlers run late.
_ECHO_SECONDS = {signal.SIGHUP: 1.0, signal.SIGINT: 0.0, signal.SIGTERM: 0.1}


class _Second:
    """Distinguishes a second signal from an echo of the first: `timeout` sends SIGTERM twice, and
    when a terminal closes, both the kernel and the shell send SIGHUP."""

    def __init__(self) -> None:
        self._first: tuple[int, float] | None = None

    def __call__(self, number: int) -> bool:
        now = time.monotonic()
        if self._first is None:
            self._first = number, now
            return False
        first, received = self._first
        return number != first or now - received > _ECHO_SECONDS[signal.Signals(number)]


@contextlib.contextmanager
def stop_on_signals() -> Iterator[StopRequest]:
    """Yields a request that the first SIGTERM, SIGINT or SIGHUP sets.

    A second signal acts as usual, and ends the process if Python cannot handle it in a long step.

    SIGHUP stays ignored if it was (nohup). The former handlers are restored at the end. Outside the
    main thread, where Python allows no handlers, the request is never set.
    """
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    former = {number: signal.getsignal(number) for number in _STOPPING}
    is_second = _Second()

    def handle(number: int, frame: FrameType | None) -> None:
        if not is_second(number):
            request.signal = request.signal or signal.Signals(number)
            return
        for each, handler in former.items():
            signal.signal(each, handler)
        signal.raise_signal(number)

    with _handled(handle):
        _requests.append(request)
        try:
            yield request
        finally:
            _requests.remove(request)


def renew() -> None:
    """Installs Python's handlers again: TensorFlow replaces that of SIGTERM to connect workers.

    A SIGTERM in between is lost. Has no effect outside the main thread.
    """
    if threading.current_thread() is threading.main_thread():
        for number in _STOPPING:
            if (handler := signal.getsignal(number)) is not None:
                signal.signal(number, handler)


@contextlib.contextmanager
def blocked() -> Iterator[None]:
    """Defers the signals, and blocks them permanently in processes that the block starts: their
    parent stops them."""
    with deferred():
        former = signal.pthread_sigmask(signal.SIG_BLOCK, _STOPPING)
        try:
            yield
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, former)


@contextlib.contextmanager
def _handled(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Sets the handler of the signals for the block, in the main thread."""
    former = {number: signal.getsignal(number) for number in _STOPPING}
    if former[signal.SIGHUP] == signal.SIG_IGN:
        del former[signal.SIGHUP]
    with _ended_by_a_second(list(former)):
        try:
            for number in former:
                signal.signal(number, handler)
            yield
        finally:
            for number, each in former.items():
                signal.signal(number, each)


@contextlib.contextmanager
def _ended_by_a_second(numbers: list[signal.Signals]) -> Iterator[None]:
    """Ends the process `_GRACE` seconds after a second signal that Python does not handle.

    Python's handlers run between two bytecodes, not during a long call; the wake-up file descriptor
    is written immediately.
    """
    receiver, sender = socket.socketpair()
    sender.setblocking(False)
    former = signal.set_wakeup_fd(sender.fileno(), warn_on_full_buffer=False)
    over = threading.Event()

    def watch() -> None:
        is_second = _Second()
        while received := receiver.recv(1):
            if received[0] in numbers and is_second(received[0]):
                if not over.wait(_GRACE):
                    _end(received[0])
                return

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


def _end(number: int) -> None:
    name = signal.Signals(number).name
    with contextlib.suppress(OSError):
        os.write(2, f"second signal, {name}: ended without saving\n".encode())
    os._exit(128 + number)
