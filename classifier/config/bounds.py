"""Bounds of options."""

import functools
import itertools
import math
import re

from slim import _checks

positive = _checks.positive
non_negative = _checks.non_negative
at_least_one = functools.partial(_checks.in_range, 1, math.inf)
at_least_two = functools.partial(_checks.in_range, 2, math.inf)
fraction = functools.partial(_checks.in_range, 0, 1)
at_least_minus_one = functools.partial(_checks.in_range, -1, math.inf)
# Random generators are seeded with pairs of int32.
seed = functools.partial(_checks.in_range, 0, 2**31 - 1)


def positive_or_all(**values: int) -> None:
    """Raises UserError for a value that is neither positive nor -1, which stands for all."""
    for name, value in values.items():
        if value != -1:
            positive(**{name: value})


def below_one(**values: float) -> None:
    """Raises UserError for a value that is not in [0, 1)."""
    non_negative(**values)
    for name, value in values.items():
        if value >= 1:
            raise _checks.UserError(f"{name}={value!r} must be below 1")


def below_half(**values: float) -> None:
    """Raises UserError for a value that is not in (0, 0.5)."""
    positive(**values)
    for name, value in values.items():
        if value >= 0.5:
            raise _checks.UserError(f"{name}={value!r} must be below 0.5")


def sides(**sizes: tuple[int, int]) -> None:
    """Raises UserError unless height and width are positive."""
    for name, size in sizes.items():
        for side in size:
            positive(**{name: side})


def not_above_zero(**values: float) -> None:
    """Raises UserError for a positive value."""
    _checks.in_range(-math.inf, 0, **values)


def each_non_negative(**lists: tuple[float, ...]) -> None:
    """Raises UserError for a list with a negative number."""
    for name, numbers in lists.items():
        for number in numbers:
            non_negative(**{name: number})


def rising(**lists: tuple[float, ...]) -> None:
    """Raises UserError unless the numbers of a list are positive and strictly increasing."""
    for name, numbers in lists.items():
        for previous, number in itertools.pairwise((0, *numbers)):
            if number <= previous:
                raise _checks.UserError(
                    f"{name} must be positive and increasing: {number:g} follows {previous:g}"
                )


def step_range(**ranges: tuple[int, ...]) -> None:
    """Raises UserError unless a list is a first step and a last step that is not below it."""
    for name, steps in ranges.items():
        if len(steps) != 2 or not 1 <= steps[0] <= steps[1]:
            raise _checks.UserError(
                f"{name}={','.join(map(str, steps))!r} is not a first and a last step, counted from"
                " 1, such as 10,20"
            )


def crops(**numbers: int) -> None:
    """Raises UserError for a number of crops other than 1 and 5."""
    for name, number in numbers.items():
        if number not in (1, 5):
            raise _checks.UserError(f"{name}={number} must be 1 or 5")


def license_name(**values: str) -> None:
    """Raises UserError for what cannot be the identifier of a license."""
    for name, value in values.items():
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9.+-]*", value):
            raise _checks.UserError(
                f"{name}={value!r} is not a license identifier such as apache-2.0"
            )


def scope_factors(**lists: tuple[str, ...]) -> None:
    """Raises UserError unless the items of a list are `scope:factor`, one per scope."""
    for name, items in lists.items():
        scopes = [item.rpartition(":")[0] for item in items]
        for item, scope in zip(items, scopes, strict=True):
            if not scope.strip() or not _is_factor(item.rpartition(":")[2]):
                raise _checks.UserError(
                    f"{name}: {item!r} is not SCOPE:FACTOR with a factor of at least 0, such as"
                    " InceptionV3/Logits:10"
                )
            if scopes.count(scope) > 1:
                raise _checks.UserError(f"{name}: {scope!r} has several factors")


def _is_factor(text: str) -> bool:
    try:
        return 0 <= float(text) < math.inf
    except ValueError:
        return False
