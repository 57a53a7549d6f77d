"""Two logical CPU devices, as in tests/slim."""

import contextlib

from deployment import model_deploy

# Too late if a test module has run an operation on import.
with contextlib.suppress(RuntimeError):
    model_deploy.split_cpu(2)
