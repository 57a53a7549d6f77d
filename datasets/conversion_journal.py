"""The finished shards of a conversion, so that one that was killed goes on after the last of them.

No TensorFlow.
"""

import dataclasses
import hashlib
import json
import os
from typing import Any

from datasets import dataset_info
from slim import _checks, _files, _json, _ownership

LOCK = "lock"  # the file in the work directory that is locked by whoever works in it
JOURNAL = "journal.jsonl"


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What became of a shard.

    Attributes:
      shard: None if it was not written, for bad pictures had been found.
      per_class: good pictures of each class.
      bad: (path, reason) of each bad one.
    """

    shard: dataset_info.ShardInfo | None
    per_class: list[int]
    bad: list[tuple[str, str]]


@dataclasses.dataclass(frozen=True)
class _Line:
    """What a line of the journal holds."""

    file: str
    shard: dataset_info.ShardInfo
    per_class: list[_json.Count]
    bad: list[tuple[str, str]]


class Journal:
    """One JSON line a shard, below a line that says which conversion it is.

    A damaged journal is read up to the first damaged line; the shards below are made again.

    Args:
      work: the directory of the journal and of the shards. If it holds those of another
        conversion, they are removed.
      fingerprint: of the conversion.
      num_classes: of the dataset.

    Raises:
      UserError: if something else is at the path of the journal.

    Attributes:
      done: name of a shard -> outcome.
    """

    def __init__(self, work: str, fingerprint: str, num_classes: int) -> None:
        self._path = os.path.join(work, JOURNAL)
        self._num_classes = num_classes
        self.done: dict[str, Outcome] = {}
        found = self._read(work, fingerprint)
        for entry in os.scandir(work):
            kept = entry.name in (LOCK, _ownership.MARK) or entry.name in found
            if entry.is_file(follow_symlinks=False) and not kept:
                os.remove(entry.path)
        self._append(fingerprint)
        for file, outcome in found.items():
            self.add(file, outcome)

    def add(self, file: str, outcome: Outcome) -> None:
        """Adds a shard that lies in the work directory."""
        self.done[file] = outcome
        self._append({"file": file, **dataclasses.asdict(outcome)})

    def _append(self, value: Any) -> None:
        with _files.open_output(self._path, append=True) as journal:
            journal.write(f"{json.dumps(value)}\n".encode())

    def _read(self, work: str, fingerprint: str) -> dict[str, Outcome]:
        done: dict[str, Outcome] = {}
        lines = _json.read_lines(self._path, str | _Line)  # type: ignore[arg-type]
        try:
            if next(lines, None) != fingerprint:
                return {}
            for line in lines:
                if not isinstance(line, _Line) or not self._is_consistent(line):
                    break
                if _is_whole(os.path.join(work, line.file), line.shard):
                    done[line.file] = Outcome(line.shard, line.per_class, line.bad)
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise _checks.UserError(
                f"{_json.printable(self._path)} cannot be used: {error.strerror}. Remove"
                f" {_json.printable(work)}"
            ) from None
        return done

    def _is_consistent(self, line: _Line) -> bool:
        return (
            line.file == line.shard.file
            and sum(line.per_class) == line.shard.num_samples
            and len(line.per_class) == self._num_classes
        )


def _is_whole(path: str, shard: dataset_info.ShardInfo) -> bool:
    try:
        with _files.open_regular(path) as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == shard.sha256
    except OSError:
        return False
