"""Records the finished shards of a conversion, so that a killed conversion resumes after them.

A shard that takes longer is written in pieces, which are TFRecord files, and then joined.

No TensorFlow.
"""

import dataclasses
import hashlib
import itertools
import json
import os
import re
from typing import Any

from datasets import dataset_info, duplicates
from slim import _checks, _files, _json, _ownership

LOCK = "lock"  # file in the work directory, locked by the process that uses it
JOURNAL = "journal.jsonl"


@dataclasses.dataclass(frozen=True)
class Outcome:
    """The result of converting a shard or a piece of one.

    Attributes:
      shard: None if it was not written because of bad images.
      per_class: number of good images in each class.
      bad: (path, reason) of each bad image.
      fingerprints: of `duplicates`, of all images one after the other, in hexadecimal digits.
    """

    shard: dataset_info.ShardInfo | None
    per_class: list[int]
    bad: list[tuple[str, str]]
    fingerprints: str = ""

    @property
    def num_items(self) -> int:
        """Number of images that were converted, including bad ones."""
        return (self.shard.num_samples if self.shard else 0) + len(self.bad)


def piece_name(file: str, number: int) -> str:
    """Returns the file name of a piece of a shard."""
    return f"{file}.piece-{number:05d}"


@dataclasses.dataclass(frozen=True)
class _Line:
    """The content of a line."""

    file: str
    shard: dataset_info.ShardInfo
    per_class: list[_json.Count]
    bad: list[tuple[str, str]]
    fingerprints: str = ""


class Journal:
    """A file with a line that identifies the conversion, and one JSON line per finished shard or
    piece of one.

    A damaged journal is read up to the first damaged line; later shards are written again.

    Args:
      work: directory of the journal and the shards. Those of another conversion are removed.
      fingerprint: identifies the conversion.
      num_classes: number of classes in the dataset.
      multi_label: whether an image has any number of labels.

    Raises:
      UserError: if the journal's path is not a regular file.

    Attributes:
      done: name of a shard, or of a piece of an unfinished one -> outcome.
    """

    def __init__(
        self, work: str, fingerprint: str, num_classes: int, multi_label: bool = False
    ) -> None:
        self._path = os.path.join(work, JOURNAL)
        self._num_classes, self._multi_label = num_classes, multi_label
        self.done: dict[str, Outcome] = {}
        finished = self._read(work, fingerprint)
        for entry in os.scandir(work):
            kept = entry.name in (LOCK, _ownership.MARK) or entry.name in finished
            if entry.is_file(follow_symlinks=False) and not kept:
                os.remove(entry.path)
        self._append(fingerprint)
        for file, outcome in finished.items():
            self.add(file, outcome)

    def add(self, file: str, outcome: Outcome) -> None:
        """Adds a shard or piece that was written to the work directory; removes the pieces of a
        shard."""
        self._append({"file": file, **dataclasses.asdict(outcome)})
        for number in range(len(self.pieces(file))):
            del self.done[piece_name(file, number)]
            os.remove(os.path.join(os.path.dirname(self._path), piece_name(file, number)))
        self.done[file] = outcome

    def pieces(self, file: str) -> list[Outcome]:
        """Returns the finished pieces of a shard, in order."""
        names = (piece_name(file, number) for number in itertools.count())
        return [self.done[name] for name in itertools.takewhile(self.done.__contains__, names)]

    def num_items(self) -> int:
        """Returns the number of images that were converted."""
        return sum(outcome.num_items for outcome in self.done.values())

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
                if _is_intact(os.path.join(work, line.file), line.shard):
                    done[line.file] = Outcome(
                        line.shard, line.per_class, line.bad, line.fingerprints
                    )
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
            and dataset_info.fits(line.per_class, line.shard.num_samples, self._multi_label)
            and len(line.per_class) == self._num_classes
            and re.fullmatch("[0-9a-f]*", line.fingerprints) is not None
            and len(line.fingerprints)
            == 2 * duplicates.SIZE * (line.shard.num_samples + len(line.bad))
        )


def _is_intact(path: str, shard: dataset_info.ShardInfo) -> bool:
    try:
        with _files.open_regular(path) as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == shard.sha256
    except OSError:
        return False
