"""From a checkpoint into variables: everything is read and compared before the first assignment."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
import tensorflow as tf

from slim import _checks
from slim.checkpoints._reading import Reader, SavedVariable


class Source(Protocol):
    """Saved variables by name: a `Reader`, or whatever offers the same."""

    prefix: str

    def variables(self) -> dict[str, SavedVariable]:
        """Returns name -> (shape, dtype)."""
        ...

    def get(self, name: str) -> np.ndarray:
        """Returns the value of a variable."""
        ...


class Mismatch(NamedTuple):
    """A variable that the checkpoint has in another shape, or in another kind of number."""

    name: str
    saved: SavedVariable
    wanted: SavedVariable

    def __str__(self) -> str:
        """Returns both shapes, or both types if the shapes agree."""
        if self.saved.shape != self.wanted.shape:
            saved, wanted = list(self.saved.shape), list(self.wanted.shape)
            return f"{self.name} has shape {saved} in it and {wanted} here"
        return f"{self.name} is {self.saved.dtype.name} in it and {self.wanted.dtype.name} here"


@dataclass(frozen=True)
class RestoreReport:
    """Which variables a checkpoint served.

    Attributes:
      prefix: the checkpoint.
      restored: names given a value (or, from `compare`, that would be).
      missing: names that the checkpoint lacks.
      mismatched: names that it has in another shape or type.
      unused: names that it has and nobody asked for.
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
      report: what it lacks, and has otherwise.
    """

    def __init__(self, message: str, report: RestoreReport) -> None:
        super().__init__(message)
        self.report = report


def compare(
    source: str | os.PathLike[str] | Source, variables: Mapping[str, tf.Variable]
) -> RestoreReport:
    """Returns what `restore` would do, changing nothing.

    Args:
      source: prefix of a checkpoint (see `find`), or an opened one.
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
    """Assigns the values of a checkpoint to variables, to all of them or to none.

    To be called outside replicas; a variable of any `tf.distribute` strategy is assigned on all.
    A number type is converted within its kind (float16 to float32, int32 to int64).

    Args:
      source: prefix of a checkpoint (see `find`), or an opened one.
      variables: name in the checkpoint -> variable.
      strict: whether each variable has to be in the checkpoint; if not, it keeps its value.
      skip_mismatched: whether a variable of another shape keeps its value.

    Returns:
      What was restored, and what not.

    Raises:
      UnfitError: if names are missing, shapes or types differ, or no name matches at all.
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
    """Returns shape and type of a variable."""
    return SavedVariable(tuple(variable.shape), tf.as_dtype(variable.dtype))


def same_kind(saved: tf.DType, wanted: tf.DType) -> bool:
    """Returns whether one type of number may stand for the other."""
    kinds = ("is_floating", "is_integer", "is_complex")
    return saved == wanted or any(getattr(saved, k) and getattr(wanted, k) for k in kinds)


def _opened(source: str | os.PathLike[str] | Source) -> Source:
    return Reader(source) if isinstance(source, (str, os.PathLike)) else source


def _compared(reader: Source, variables: Mapping[str, tf.Variable]) -> RestoreReport:
    saved = reader.variables()
    present = [name for name in variables if name in saved]
    mismatched = []
    for name in present:
        wanted = specification(variables[name])
        if saved[name].shape != wanted.shape or not same_kind(saved[name].dtype, wanted.dtype):
            mismatched.append(Mismatch(name, saved[name], wanted))
    differing = {mismatch.name for mismatch in mismatched}
    return RestoreReport(
        prefix=reader.prefix,
        restored=tuple(name for name in present if name not in differing),
        missing=tuple(name for name in variables if name not in saved),
        mismatched=tuple(mismatched),
        unused=tuple(name for name in saved if name not in variables),
    )


def _check(report: RestoreReport, wanted: int, strict: bool, skip_mismatched: bool) -> None:
    found = wanted - len(report.missing)
    has = f"Checkpoint {report.prefix} has {found} of {wanted} variables"
    missing = f"Missing: {_checks.listed(report.missing, 5)}"
    if wanted and not found:
        unused = _checks.listed(report.unused, 5) or "nothing"
        raise UnfitError(f"{has}: it is another network's. {missing}. It holds: {unused}", report)
    if report.missing and strict:
        raise UnfitError(f"{has}. {missing}. Pass strict=False to leave these as they are", report)
    if report.mismatched and not skip_mismatched:
        differing = _checks.listed(report.mismatched, 5)
        raise UnfitError(
            f"Checkpoint {report.prefix} does not fit: {differing}. "
            "Exclude these variables, or pass skip_mismatched=True",
            report,
        )
