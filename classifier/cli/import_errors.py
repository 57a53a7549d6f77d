"""Packages that are missing or damaged, when code that needs them is imported."""

import importlib.metadata
import importlib.util

# A failed import of these is a fault of slim.
_OWN = ("classifier", "datasets", "deployment", "nets", "preprocessing", "slim")


def describe(error: ImportError) -> str | None:
    """Returns the package and the command that repairs it; None if it is not another package's."""
    name = (error.name or "").partition(".")[0]
    if not name or name in _OWN:
        return None
    packages = importlib.metadata.packages_distributions().get(name, [name])
    if importlib.util.find_spec(name) is None:
        return f"{packages[0]} is not installed; install it with: pip install {packages[0]}"
    return (
        f"{packages[0]} is installed, but cannot be imported: {error}. Install it again:"
        f" pip install --force-reinstall {packages[0]}"
    )
