"""Closed outputs: the program continues without them."""

import contextlib
import errno
import os
import sys
from collections.abc import Iterator
from typing import Any, TextIO


class IgnoreBrokenPipe:
    """A text stream that discards its output once its reader is gone.

    Args:
      stream: stream to write to.
      message: line to print on stderr when the reader is gone; empty for none.
    """

    def __init__(self, stream: TextIO, message: str = "") -> None:
        self._stream = stream
        self._message = message
        # A closed terminal does not count as a terminal later.
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
    """Lets the block continue when stdout or stderr is closed (`| head`, a closed terminal).

    Args:
      message: line to print on stderr when stdout is closed.
    """
    out = sys.stdout and IgnoreBrokenPipe(
        sys.stdout, message
    )  # None if it was closed from the start
    err = sys.stderr and IgnoreBrokenPipe(sys.stderr)
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        yield


def discard(stream: TextIO) -> None:
    """Discards the output of a stream, including what it has buffered."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
