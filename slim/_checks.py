"""One voice for every error: what came, what is allowed, what to do.

No TensorFlow here: flags and tables are checked before TensorFlow is loaded.
"""

import difflib
import importlib.util
from collections.abc import Iterable, Mapping
from typing import TypeVar

T = TypeVar("T")


class UserError(ValueError):
    """A mistake in what the user asked for: the scripts print it as one line and exit with 2."""


class RunError(RuntimeError):
    """A run that was asked for correctly and failed: the scripts print one line and exit with 1."""


def suggest(value: object, known: Iterable[str], most: int = 3) -> str:
    """Returns "; did you mean 'x'?" for the names nearest to `value`, or an empty string."""
    near = difflib.get_close_matches(str(value), [str(name) for name in known], n=most, cutoff=0.6)
    if not near:
        return ""
    return "; did you mean " + " or ".join(repr(name) for name in near) + "?"


def listed(names: Iterable[object], most: int = 60) -> str:
    """Returns the names joined by commas, cut after `most` of them."""
    texts = [str(name) for name in names]
    more = f", ... ({len(texts) - most} more)" if len(texts) > most else ""
    return ", ".join(texts[:most]) + more


def one_of(name: str, value: T, known: Iterable[T]) -> T:
    """Returns `value`, which has to be one of `known`.

    Raises:
      UserError: if it is not; the message has the nearest and all known values.
    """
    known = list(known)
    if value not in known:
        near = suggest(value, map(str, known)) if isinstance(value, str) else ""
        hint = near or "."
        raise UserError(f"{name}={value!r} is not known{hint} Known: {listed(known)}")
    return value


def positive(**values: float | None) -> None:
    """Raises UserError unless every value that is not None is above zero."""
    for name, value in values.items():
        if value is not None and not value > 0:
            raise UserError(f"{name}={value!r} must be positive")


def non_negative(**values: float | None) -> None:
    """Raises UserError unless every value that is not None is zero or more."""
    for name, value in values.items():
        if value is not None and not value >= 0:
            raise UserError(f"{name}={value!r} must not be negative")


def in_range(low: float, high: float, **values: float | None) -> None:
    """Raises UserError unless every value that is not None lies in [low, high]."""
    for name, value in values.items():
        if value is not None and not low <= value <= high:
            raise UserError(f"{name}={value!r} must lie between {low} and {high}")


def installed(packages: Mapping[str, str]) -> None:
    """Looks whether packages that not everybody needs are there; imports nothing.

    Args:
      packages: name to import -> name to install, of what is needed together.

    Raises:
      UserError: for the first that is missing; the message has the command for all of them.
    """
    for module, package in packages.items():
        if importlib.util.find_spec(module) is None:
            raise UserError(
                f"{package} is not installed; install it with: pip install"
                f" {' '.join(packages.values())}"
            )
