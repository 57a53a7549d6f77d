"""Two logical CPU devices, as in tests/slim."""

import contextlib

from deployment import strategies

# Too late if a test module has run an operation on import.
with contextlib.suppress(RuntimeError):
    strategies.split_cpu(2)
