"""Restores variables; everything is read and compared before the first assignment."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
import tensorflow as tf

from slim import _checks
from slim.checkpoints._reading import Reader, SavedVariable


class Source(Protocol):
    """Saved variables by name: a `Reader`, or an object with the same methods."""

    prefix: str

    def variables(self) -> dict[str, SavedVariable]:
        """Returns name -> (shape, dtype)."""
        ...

    def get(self, name: str) -> np.ndarray:
        """Returns the value of a variable."""
        ...


class Mismatch(NamedTuple):
    """A variable whose shape, or kind of number, differs in the checkpoint."""

    name: str
    saved: SavedVariable
    expected: SavedVariable

    def __str__(self) -> str:
        """Returns both shapes, or both types if the shapes agree."""
        if self.saved.shape != self.expected.shape:
            saved, expected = list(self.saved.shape), list(self.expected.shape)
            return f"{self.name}: checkpoint shape {saved}, network shape {expected}"
        saved, expected = self.saved.dtype.name, self.expected.dtype.name
        return f"{self.name}: checkpoint type {saved}, network type {expected}"


@dataclass(frozen=True)
class RestoreReport:
    """Result of restoring variables from a checkpoint.

    Attributes:
      prefix: the checkpoint.
      restored: names of the variables that were restored (or, from `compare`, can be).
      missing: names that are not in the checkpoint.
      mismatched: variables with another shape or type in the checkpoint.
      unused: names in the checkpoint that were not requested.
    """

    prefix: str
    restored: tuple[str, ...]
    missing: tuple[str, ...] = ()
    mismatched: tuple[Mismatch, ...] = ()
    unused: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Returns `restored 376, missing 0, mismatched 4, unused 8`."""
        return ", ".join(
            f"{key} {len(getattr(self, key))}"
            for key in ("restored", "missing", "mismatched", "unused")
        )


class UnfitError(_checks.UserError):
    """A checkpoint does not fit the variables.

    Attributes:
      report: which variables are missing or differ.
    """

    def __init__(self, message: str, report: RestoreReport) -> None:
        super().__init__(message)
        self.report = report


def compare(
    source: str | os.PathLike[str] | Source, variables: Mapping[str, tf.Variable]
) -> RestoreReport:
    """Returns the report that `restore` would return, without assigning anything.

    Args:
      source: prefix of a checkpoint (see `find`), or an open one.
      variables: name in the checkpoint -> variable.
    """
    return _compared(_opened(source), variables)


def restore(
    source: str | os.PathLike[str] | Source,
    variables: Mapping[str, tf.Variable],
    *,
    strict: bool = True,
    skip_mismatched: bool = False,
) -> RestoreReport:
    """Assigns the values of a checkpoint to variables: to all, or in case of an error to none.

    Call it outside replica functions; variables of a strategy are assigned on all replicas. Types
    are converted within their kind (float16 to float32, int32 to int64).

    Args:
      source: prefix of a checkpoint (see `find`), or an open one.
      variables: name in the checkpoint -> variable.
      strict: whether missing variables are an error; otherwise they keep their value.
      skip_mismatched: whether variables with another shape or type keep their value.

    Returns:
      The restored, missing, mismatched and unused variables.

    Raises:
      UnfitError: if names are missing, shapes or types differ, or no name matches.
      UserError: if there is no checkpoint.
      RunError: if the checkpoint cannot be read.
    """
    reader = _opened(source)
    report = _compared(reader, variables)
    _check(report, len(variables), strict, skip_mismatched)
    values = [(variables[name], reader.get(name)) for name in report.restored]
    for variable, value in values:
        variable.assign(tf.cast(value, variable.dtype))
    return report


def specification(variable: tf.Variable) -> SavedVariable:
    """Returns the shape and type of a variable."""
    return SavedVariable(tuple(variable.shape), tf.as_dtype(variable.dtype))


def same_kind(saved: tf.DType, expected: tf.DType) -> bool:
    """Returns whether one type of number can be converted to the other."""
    kinds = ("is_floating", "is_integer", "is_complex")
    return saved == expected or any(getattr(saved, k) and getattr(expected, k) for k in kinds)


def _opened(source: str | os.PathLike[str] | Source) -> Source:
    return Reader(source) if isinstance(source, (str, os.PathLike)) else source


def _compared(reader: Source, variables: Mapping[str, tf.Variable]) -> RestoreReport:
    saved = reader.variables()
    present = [name for name in variables if name in saved]
    mismatched = []
    for name in present:
        expected = specification(variables[name])
        if saved[name].shape != expected.shape or not same_kind(saved[name].dtype, expected.dtype):
            mismatched.append(Mismatch(name, saved[name], expected))
    differing = {mismatch.name for mismatch in mismatched}
    return RestoreReport(
        prefix=reader.prefix,
        restored=tuple(name for name in present if name not in differing),
        missing=tuple(name for name in variables if name not in saved),
        mismatched=tuple(mismatched),
        unused=tuple(name for name in saved if name not in variables),
    )


def _check(report: RestoreReport, total: int, strict: bool, skip_mismatched: bool) -> None:
    matching = total - len(report.missing)
    has = f"Checkpoint {report.prefix} has {matching} of {total} variables"
    missing = f"Missing: {_checks.listed(report.missing, 5)}"
    if total and not matching:
        unused = _checks.listed(report.unused, 5) or "nothing"
        raise UnfitError(
            f"{has}: it is of another network. {missing}. It contains: {unused}", report
        )
    if report.missing and strict:
        raise UnfitError(f"{has}. {missing}. Pass strict=False to skip these", report)
    if report.mismatched and not skip_mismatched:
        differing = _checks.listed(report.mismatched, 5)
        raise UnfitError(
            f"Checkpoint {report.prefix} does not match: {differing}. "
            "Exclude these variables, or pass skip_mismatched=True",
            report,
        )
