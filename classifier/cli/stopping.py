"""Signals before the work of a script begins.

The scripts import this first, so it imports only a few modules.
"""

import contextlib
import os
import signal
import sys
from collections.abc import Iterator

SIGNALS = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)


@contextlib.contextmanager
def before_work(program: str | None = None) -> Iterator[None]:
    """Ends the process at once, with a line and exit code 128 + number, when a signal arrives.

    Code that TensorFlow's import runs could catch or print an exception. There is nothing to clean
    up yet.

    SIGHUP stays ignored if it was (nohup). The previous handlers are restored at the end. Outside
    the main thread, where Python allows no handlers, nothing changes.

    Args:
      program: name at the start of the line; default: the script's.
    """
    name = program or os.path.basename(sys.argv[0])
    # stderr is captured while TensorFlow is imported.
    stderr = _duplicate(2)

    def end(number: int, frame: object) -> None:
        line = f"{name}: stopped by {signal.Signals(number).name} before the work began\n"
        with contextlib.suppress(OSError):
            os.write(stderr, line.encode(errors="backslashreplace"))
        os._exit(128 + number)

    previous = {}
    try:
        with contextlib.suppress(ValueError):  # not the main thread
            for number in SIGNALS:
                if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
                    previous[number] = signal.signal(number, end)
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
        with contextlib.suppress(OSError):
            os.close(stderr)


def last(exit_code: int) -> int:
    """Returns the exit code and ignores signals from now on: Python would print a traceback if one
    arrived while it exits."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    return exit_code


def _duplicate(descriptor: int) -> int:
    try:
        return os.dup(descriptor)
    except OSError:  # stderr is closed
        return -1
