"""Two logical CPU devices, as tests/slim wants them too."""

import contextlib

from deployment import model_deploy

# Too late where a test module has run an operation while it was imported.
with contextlib.suppress(RuntimeError):
    model_deploy.split_cpu(2)
