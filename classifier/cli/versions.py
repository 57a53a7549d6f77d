"""The versions of slim and TensorFlow, before TensorFlow is loaded."""

import importlib.metadata
import importlib.util

from slim import _checks, _version

# Distributions that provide the package `tensorflow`.
_DISTRIBUTIONS = ("tensorflow", "tensorflow-cpu", "tensorflow-macos", "tensorflow-rocm")


def summary() -> str:
    """Returns `slim 0.1.0, TensorFlow 2.21.0`."""
    return f"slim {_version.version()}, TensorFlow {_installed() or 'not installed'}"


def check_tensorflow() -> None:
    """Checks the version of TensorFlow.

    Raises:
      UserError: if it is missing or not the one that is needed.
    """
    needed, installed = _version.tensorflow_version(), _installed()
    if installed is None and importlib.util.find_spec("tensorflow") is not None:
        return  # built without metadata
    if installed is None or not f"{installed}.".startswith(f"{needed}."):
        raise _checks.UserError(
            f"TensorFlow {needed} is needed, {installed or 'none'} is installed. Run:"
            f" pip install 'tensorflow=={needed}.*'"
        )


def _installed() -> str | None:
    for name in _DISTRIBUTIONS:
        try:
            return importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return None
