"""Messages of native libraries, kept off the terminal."""

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator


@contextlib.contextmanager
def capture_native_stderr() -> Iterator[None]:
    """Captures what native code writes to stderr, and shows it if the block fails.

    TensorFlow's libraries print several lines while they are loaded, before they read any setting.
    """
    sys.stderr.flush()
    try:
        stderr = os.dup(2)
    except OSError:  # stderr is closed
        yield
        return
    with tempfile.TemporaryFile() as captured:
        os.dup2(captured.fileno(), 2)
        try:
            yield
        except BaseException:
            captured.seek(0)
            os.write(stderr, captured.read())
            raise
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
