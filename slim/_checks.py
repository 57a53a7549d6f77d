"""Errors and checks of arguments; no TensorFlow here: flags are checked before it is loaded."""

import difflib
import importlib.util
from collections.abc import Iterable, Mapping
from typing import TypeVar

T = TypeVar("T")


class UserError(ValueError):
    """A user's mistake: the scripts print it as one line and exit with 2."""


class RunError(RuntimeError):
    """A failed run, not a user's mistake: the scripts print one line and exit with 1."""


def suggest(value: object, known: Iterable[str]) -> str:
    """Returns "; did you mean 'x'?" for the names closest to `value`, or an empty string."""
    near = difflib.get_close_matches(str(value), [str(name) for name in known], n=3, cutoff=0.6)
    if not near:
        return ""
    return "; did you mean " + " or ".join(repr(name) for name in near) + "?"


def listed(names: Iterable[object], most: int = 60) -> str:
    """Returns the names joined by commas, at most `most` of them."""
    texts = [str(name) for name in names]
    more = f", ... ({len(texts) - most} more)" if len(texts) > most else ""
    return ", ".join(texts[:most]) + more


def one_of(name: str, value: T, known: Iterable[T]) -> T:
    """Returns `value` if it is one of `known`.

    Raises:
      UserError: otherwise; the message has the closest and all known values.
    """
    known = list(known)
    if value not in known:
        near = suggest(value, map(str, known)) if isinstance(value, str) else ""
        hint = near or "."
        raise UserError(f"{name}={value!r} is not known{hint} Known: {listed(known)}")
    return value


def positive(**values: float | None) -> None:
    """Raises UserError for a value that is neither None nor positive."""
    for name, value in values.items():
        if value is not None and not value > 0:
            raise UserError(f"{name}={value!r} must be positive")


def non_negative(**values: float | None) -> None:
    """Raises UserError for a negative value."""
    for name, value in values.items():
        if value is not None and not value >= 0:
            raise UserError(f"{name}={value!r} must not be negative")


def in_range(low: float, high: float, **values: float | None) -> None:
    """Raises UserError for a value that is neither None nor in [low, high]."""
    for name, value in values.items():
        if value is not None and not low <= value <= high:
            raise UserError(f"{name}={value!r} must lie between {low} and {high}")


def installed(packages: Mapping[str, str]) -> None:
    """Checks that optional packages are installed, without importing them.

    Args:
      packages: module name -> package name, of packages that are needed together.

    Raises:
      UserError: for the first missing package; the message has the command to install all.
    """
    for module, package in packages.items():
        if importlib.util.find_spec(module) is None:
            raise UserError(
                f"{package} is not installed; install it with: pip install"
                f" {' '.join(packages.values())}"
            )
