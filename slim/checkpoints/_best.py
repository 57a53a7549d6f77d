"""The best checkpoint of a run, in its own directory with a record of its metric."""

import dataclasses
import json
import logging
import math
import os
from collections.abc import Mapping
from typing import Annotated, Any

import msgspec

from slim import _checks, _files, _json, _ownership, _paths
from slim.checkpoints import _listing, _writing

DIRECTORY = "best"
RECORD = "best.json"

_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class _Record:
    """The content of best.json; `kept` are other checkpoints, which are never removed."""

    checkpoint: _json.Name
    step: Annotated[int, msgspec.Meta(ge=-1)]
    metric: _json.Name
    value: float
    higher_is_better: bool
    kept: tuple[_json.Name, ...] = ()

    def __post_init__(self) -> None:
        if _listing.step_of(self.checkpoint) != self.step or "/" in self.checkpoint:
            raise ValueError(f"checkpoint is {self.checkpoint!r}, but step is {self.step}")
        if math.isnan(self.value):
            raise ValueError("value is NaN, expected a number")

    def is_beaten_by(self, other: "_Record") -> bool:
        """Returns whether another record of the same metric is better."""
        is_higher = other.value > self.value
        return is_higher if self.higher_is_better else other.value < self.value

    def to_dict(self) -> dict[str, Any]:
        """Returns the values to write as JSON."""
        values = dataclasses.asdict(self)
        kept = values.pop("kept")
        return values | ({"kept": list(kept)} if kept else {})


def best(directory: str | os.PathLike[str]) -> dict[str, Any] | None:
    """Returns the record of a run's best checkpoint, or None.

    Args:
      directory: the run directory, whose `best/` is read.

    Returns:
      `checkpoint` (base name), `step`, `metric`, `value` and `higher_is_better`.
    """
    record = _read(os.path.join(os.fspath(directory), DIRECTORY))
    return record and dataclasses.replace(record, kept=()).to_dict()


def save_best(
    directory: str,
    name: str,
    tensors: Mapping[str, Any],
    metric_name: str,
    value: float,
    higher_is_better: bool,
    known_values: Mapping[int, float] | None = None,
) -> str | None:
    """Writes the checkpoint `name` in `directory` if `value` beats the recorded one.

    The record is replaced after the new checkpoint is complete and before the old one is removed.
    An equal value, or NaN, is not better. A record of another metric or direction is ignored.
    Checkpoints are only removed if a record proves that they are worse: without a usable record,
    the existing ones are always kept.

    Args:
      directory: directory of the best checkpoint.
      name: base name of the new checkpoint.
      tensors: name -> value.
      metric_name: name of the metric.
      value: the new checkpoint's metric.
      higher_is_better: whether larger values are better.
      known_values: step -> value of earlier checkpoints, in case there is no record.

    Returns:
      The prefix, or None if nothing was written.

    Raises:
      UserError: if the directory is a link, or not a directory.
      RunError: if it cannot be written.
    """
    above, base = os.path.split(os.path.abspath(directory))
    _ownership.check_entries(above, files=(), directories=(base,))
    if math.isnan(value):
        return None
    new = _Record(name, _listing.step_of(name), metric_name, float(value), higher_is_better)
    old, present = _read(directory), _present(directory, name)
    kept = set(old.kept) & present if old else present
    if old is None and present:
        old = _recovered(directory, present, new, known_values or {})
    elif old and (old.metric, old.higher_is_better) != (metric_name, higher_is_better):
        _log.warning(
            "%s held the best %s; it now holds the best %s", directory, old.metric, metric_name
        )
        old, kept = None, present
    if old is not None and not old.is_beaten_by(new):
        return None
    kept -= {name}
    prefix = _writing.save(os.path.join(directory, name), tensors)
    _replace_record(directory, dataclasses.replace(new, kept=tuple(sorted(kept))))
    _writing.remove(directory, present - kept - {name})
    return prefix


def _replace_record(directory: str, record: _Record) -> None:
    path = os.path.join(directory, RECORD)
    try:
        if _is_damaged(directory):
            _log.warning("%s is now %s", path, _files.move_aside(path))
        content = json.dumps(record.to_dict(), indent=2) + "\n"
        _paths.write_atomically(path, content.encode())
        _listing.write_state(directory, [*record.kept, record.checkpoint])
        _paths.sweep_scratch(directory)
    except OSError as error:
        raise _checks.RunError(
            f"Saved {os.path.join(directory, record.checkpoint)}, but could not write {RECORD}"
            f" in the same directory: {error.strerror}"
        ) from error


def _present(directory: str, name: str) -> set[str]:
    """Returns the checkpoints, complete or not, with the base name of `name` and any step."""
    try:
        listing = _listing.list_checkpoints(directory)
    except FileNotFoundError:
        return set()
    base = name.rpartition("-")[0]
    names = {*listing.names, *listing.orphans}
    return {each for each in names if each.rpartition("-")[0] == base}


def _recovered(
    directory: str, present: set[str], new: _Record, known_values: Mapping[int, float]
) -> _Record | None:
    """Returns the record of the best checkpoint with a known value, or None."""
    best_so_far = None
    for name in sorted(present):
        step = _listing.step_of(name)
        if step in known_values and name != new.checkpoint:
            value = float(known_values[step])
            each = dataclasses.replace(new, checkpoint=name, step=step, value=value)
            if best_so_far is None or best_so_far.is_beaten_by(each):
                best_so_far = each
    if best_so_far is not None:
        _log.warning(
            "%s: according to the run's metrics, the best so far is %s (%g)",
            directory, best_so_far.checkpoint, best_so_far.value,
        )  # fmt: skip
    others = _checks.listed(sorted(present - {new.checkpoint}), 5)
    if others:
        _log.warning("%s: %s will not be removed", directory, others)
    return best_so_far


def _read(directory: str) -> _Record | None:
    try:
        return _parse(directory)
    except _checks.UserError as error:
        _log.warning("%s", error)
        return None


def _is_damaged(directory: str) -> bool:
    try:
        _parse(directory)
    except _checks.UserError:
        return True
    return False


def _parse(directory: str) -> _Record | None:
    path, advice = os.path.join(directory, RECORD), "The best so far is unknown"
    record = _json.read(path, _Record, advice=advice, finite=False)
    if record and not _listing.is_checkpoint(os.path.join(directory, record.checkpoint)):
        name = _json.printable(record.checkpoint)
        raise _checks.UserError(f"{path} names {name}, which does not exist. {advice}")
    return record
