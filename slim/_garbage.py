"""Python's garbage collector, which would visit all of TensorFlow's objects many times at start."""

import contextlib
import gc
from collections.abc import Iterator


@contextlib.contextmanager
def paused(exempt: bool = False) -> Iterator[None]:
    """Stops the garbage collector while many objects are created that will be kept.

    Args:
      exempt: whether the collector never visits the objects that exist at the end.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
        if exempt:
            gc.freeze()
    finally:
        if was_enabled:
            gc.enable()
