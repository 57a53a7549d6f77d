"""Bounds of options that several groups share."""

import functools
import itertools
import math
import re

from slim import _checks

positive = _checks.positive
non_negative = _checks.non_negative
fraction = functools.partial(_checks.in_range, 0, 1)
at_least_minus_one = functools.partial(_checks.in_range, -1, math.inf)
# Random numbers are drawn from pairs of int32.
seed = functools.partial(_checks.in_range, 0, 2**31 - 1)


def below_one(**values: float) -> None:
    """Raises UserError for a value that is not in [0, 1)."""
    non_negative(**values)
    for name, value in values.items():
        if value >= 1:
            raise _checks.UserError(f"{name}={value!r} must be below 1")


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


def step_range(**ranges: tuple[int, ...]) -> None:
    """Raises UserError unless a list is a first step and a last one that is not before it."""
    for name, steps in ranges.items():
        shown = ",".join(map(str, steps))
        if len(steps) != 2:
            raise _checks.UserError(
                f"{name}={shown!r} has to be the first and the last step: 10,20"
            )
        if steps[0] < 1:
            raise _checks.UserError(f"{name}={shown!r}: the first step of a run is 1")
        if steps[1] < steps[0]:
            raise _checks.UserError(f"{name}={shown!r} ends before it begins")


def license_name(**values: str) -> None:
    """Raises UserError for what cannot be the short name of a license."""
    for name, value in values.items():
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9.+-]*", value):
            raise _checks.UserError(f"{name}={value!r} is not a short name such as apache-2.0")


def scope_factors(**lists: tuple[str, ...]) -> None:
    """Raises UserError unless each item of a list is `scope:factor`, of one scope each."""
    for name, items in lists.items():
        scopes = [item.rpartition(":")[0] for item in items]
        for item, scope in zip(items, scopes, strict=True):
            if not scope.strip() or not _is_factor(item.rpartition(":")[2]):
                raise _checks.UserError(
                    f"{name}: {item!r} is not a scope and a factor of zero or more, such as"
                    " InceptionV3/Logits:10"
                )
            if scopes.count(scope) > 1:
                raise _checks.UserError(f"{name}: {scope!r} has more than one factor")


def _is_factor(text: str) -> bool:
    try:
        return 0 <= float(text) < math.inf
    except ValueError:
        return False
