"""What a signal does to a script before its work begins.

The scripts import this first, so it imports next to nothing.
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

    An exception would not do: what TensorFlow's import runs may swallow it or print it. There is
    nothing to clean up yet.

    SIGHUP stays ignored if it was (nohup). The former handlers return at the end. Outside the main
    thread, where Python allows no handlers, nothing changes.

    Args:
      program: name that the line starts with; default: the script's.
    """
    name = program or os.path.basename(sys.argv[0])
    # TensorFlow's import replaces the file descriptor of stderr for a while.
    stderr = _duplicate(2)

    def end(number: int, frame: object) -> None:
        line = f"{name}: stopped by {signal.Signals(number).name} before the work began\n"
        with contextlib.suppress(OSError):
            os.write(stderr, line.encode(errors="backslashreplace"))
        os._exit(128 + number)

    former = {}
    try:
        with contextlib.suppress(ValueError):  # not the main thread
            for number in SIGNALS:
                if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
                    former[number] = signal.signal(number, end)
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
        with contextlib.suppress(OSError):
            os.close(stderr)


def last(exit_code: int) -> int:
    """Returns the exit code, after having signals ignored: the process is about to end by itself,
    and Python would print how a signal disturbed that."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    return exit_code


def _duplicate(descriptor: int) -> int:
    try:
        return os.dup(descriptor)
    except OSError:  # closed from the start
        return -1
