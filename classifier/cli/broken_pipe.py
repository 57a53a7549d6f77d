"""What a program does when nobody reads its output any more."""

import contextlib
import errno
import os
import sys
from collections.abc import Iterator
from typing import Any, TextIO


class IgnoreBrokenPipe:
    """A text stream that goes on, to nowhere, when its reader is gone.

    Args:
      stream: what to write to.
      message: what to say on stderr then, in a line.
    """

    def __init__(self, stream: TextIO, message: str = "") -> None:
        self._stream = stream
        self._message = message
        # Asked now: a terminal that was closed is none any more.
        self._is_terminal = stream.isatty()

    def write(self, text: str) -> int:
        """Writes."""
        with self._reader_may_be_gone():
            return self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Flushes."""
        with self._reader_may_be_gone():
            self._stream.flush()

    @contextlib.contextmanager
    def _reader_may_be_gone(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            closed = errno.EIO if self._is_terminal else errno.EPIPE
            if error.errno not in (closed, errno.EPIPE):
                raise
            discard(self._stream)
            if self._message:
                with contextlib.suppress(OSError):
                    print(self._message, file=sys.stderr, flush=True)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextlib.contextmanager
def ignore(message: str) -> Iterator[None]:
    """Lets the block go on when the reader of stdout or stderr is gone (`| head`, a closed
    terminal).

    Args:
      message: what to say on stderr when it was stdout's.
    """
    out = sys.stdout and IgnoreBrokenPipe(
        sys.stdout, message
    )  # None if it was closed from the start
    err = sys.stderr and IgnoreBrokenPipe(sys.stderr)
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        yield


def discard(stream: TextIO) -> None:
    """Makes a stream write to nowhere, with what it still holds."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
