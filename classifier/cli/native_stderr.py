"""Keeping the terminal for what the user needs to read."""

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator


@contextlib.contextmanager
def capture_native_stderr() -> Iterator[None]:
    """Holds back what native code writes to stderr, and shows it if the block fails.

    TensorFlow's libraries greet with several lines while they are loaded, before any setting of
    theirs is read; an error message of one line would drown in them.
    """
    sys.stderr.flush()
    try:
        kept = os.dup(2)
    except OSError:  # no stderr to keep clean
        yield
        return
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            held.seek(0)
            os.write(kept, held.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)
