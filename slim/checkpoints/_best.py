"""The best checkpoint of a run, in its own directory with a record of how good it is."""

import json
import logging
import math
import os
import re
from collections.abc import Mapping
from typing import Any

from slim import _checks, _ownership, _paths
from slim.checkpoints import _listing, _writing

DIRECTORY = "best"
RECORD = "best.json"

_log = logging.getLogger(__name__)


def best(directory: str | os.PathLike[str]) -> dict[str, Any] | None:
    """Returns the record of a run's best checkpoint, or None.

    Args:
      directory: the run directory, whose `best/` is read.

    Returns:
      `checkpoint` (base name), `step`, `metric`, `value` and `higher_is_better`.
    """
    return _record(os.path.join(os.fspath(directory), DIRECTORY))


def save_best(
    directory: str,
    name: str,
    tensors: Mapping[str, Any],
    metric_name: str,
    value: float,
    higher_is_better: bool,
) -> str | None:
    """Writes the checkpoint `name` in `directory` if `value` beats the recorded one.

    The record is replaced after the new checkpoint is complete and before the old one is removed.
    Only checkpoints that an intact record proves to be ours are removed. An equal value, or one
    that is not a number, is not better. A record of another metric, or of another direction, does
    not count.

    Returns:
      The prefix, or None if nothing was written.

    Raises:
      UserError: if the directory is a link, or not a directory.
      RunError: if it cannot be written.
    """
    above, base = os.path.split(os.path.abspath(directory))
    _ownership.check_entries(above, files=(), directories=(base,))
    old, value = _record(directory), float(value)
    same = old is not None and (old["metric"], old["higher_is_better"]) == (
        metric_name,
        higher_is_better,
    )
    if old is not None and not same:
        _log.warning(
            "%s held the best %s; it now holds the best %s", directory, old["metric"], metric_name
        )
    if math.isnan(value):
        return None
    if old is not None and same:
        better = value > old["value"] if higher_is_better else value < old["value"]
        if not better:
            return None
    record = {
        "checkpoint": name,
        "step": _listing.step_of(name),
        "metric": metric_name,
        "value": value,
        "higher_is_better": higher_is_better,
    }
    prefix = _writing.save(os.path.join(directory, name), tensors)
    try:
        content = json.dumps(record, indent=2) + "\n"
        _paths.write_atomically(os.path.join(directory, RECORD), content.encode())
        _listing.write_state(directory, [name])
        _paths.sweep_scratch(directory)
    except OSError as error:
        raise _checks.RunError(
            f"Saved {prefix}, but could not write {RECORD} beside it: {error.strerror}"
        ) from error
    if old is not None:
        _remove_others(directory, name)
    return prefix


def _remove_others(directory: str, name: str) -> None:
    """Removes the checkpoints that were the best before, with the same basename as `name`."""
    basename = name.rpartition("-")[0]
    listing = _listing.list_checkpoints(directory)
    for other in {*listing.names, *listing.orphans} - {name}:
        if re.fullmatch(re.escape(basename) + r"-\d+", other):
            _writing.remove(os.path.join(directory, other))


def _record(directory: str) -> dict[str, Any] | None:
    path = os.path.join(directory, RECORD)
    try:
        with open(path, encoding="utf-8") as file:
            record: dict[str, Any] = json.load(file)
        record["value"], record["metric"], record["higher_is_better"] = (
            float(record["value"]),
            str(record["metric"]),
            bool(record["higher_is_better"]),
        )
        present = _listing.is_checkpoint(os.path.join(directory, record["checkpoint"]))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError):
        _log.warning("%s cannot be read: the best so far is unknown", path)
        return None
    if not present:
        _log.warning("%s names %s, which is not there", path, record["checkpoint"])
        return None
    return record
