"""Bounds of options that several groups share."""

import functools
import itertools
import math
import re

from slim import _checks

positive = _checks.positive
non_negative = _checks.non_negative
fraction = functools.partial(_checks.in_range, 0, 1)


def sides(**sizes: tuple[int, int]) -> None:
    """Raises UserError unless height and width are positive."""
    for name, size in sizes.items():
        for side in size:
            positive(**{name: side})


def not_above_zero(**values: float) -> None:
    """Raises UserError for a value above zero."""
    _checks.in_range(-math.inf, 0, **values)


def each_non_negative(**lists: tuple[float, ...]) -> None:
    """Raises UserError for a list with a number below zero."""
    for name, numbers in lists.items():
        for number in numbers:
            non_negative(**{name: number})


def rising(**lists: tuple[float, ...]) -> None:
    """Raises UserError unless the numbers of a list are positive and each is above the last."""
    for name, numbers in lists.items():
        for before, number in itertools.pairwise((0, *numbers)):
            if number <= before:
                raise _checks.UserError(
                    f"{name}: {number:g} must be above {before:g}, for the numbers have to rise"
                )


def license_name(**values: str) -> None:
    """Raises UserError for what cannot be the short name of a license."""
    for name, value in values.items():
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9.+-]*", value):
            raise _checks.UserError(f"{name}={value!r} is not a short name such as apache-2.0")
