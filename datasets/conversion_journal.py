"""Records the finished shards of a conversion, so that a killed conversion resumes after them.

No TensorFlow.
"""

import dataclasses
import hashlib
import json
import os
from typing import Any

from datasets import dataset_info
from slim import _files, _ownership

LOCK = "lock"  # file in the work directory, locked by the process that uses it
JOURNAL = "journal.jsonl"


@dataclasses.dataclass(frozen=True)
class Outcome:
    """The result of converting a shard.

    Attributes:
      shard: None if it was not written because of bad images.
      per_class: number of good images in each class.
      bad: (path, reason) of each bad image.
    """

    shard: dataset_info.ShardInfo | None
    per_class: list[int]
    bad: list[tuple[str, str]]


class Journal:
    """A file with one JSON line per finished shard, after a line that identifies the conversion.

    Args:
      work: directory of the journal and the shards. Those of another conversion are removed.
      fingerprint: identifies the conversion.

    Attributes:
      done: shard name -> outcome.
    """

    def __init__(self, work: str, fingerprint: str) -> None:
        self._path = os.path.join(work, JOURNAL)
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
        """Adds a shard that was written to the work directory."""
        self.done[file] = outcome
        self._append({"file": file, **dataclasses.asdict(outcome)})

    def _append(self, value: Any) -> None:
        with _files.open_output(self._path, append=True) as journal:
            journal.write((json.dumps(value) + "\n").encode())

    def _read(self, work: str, fingerprint: str) -> dict[str, Outcome]:
        try:
            with open(self._path, encoding="utf-8") as journal:
                lines = journal.read().split("\n")[:-1]  # a kill may have truncated the last
        except FileNotFoundError:
            return {}
        if not lines or json.loads(lines[0]) != fingerprint:
            return {}
        done = {}
        for line in lines[1:]:
            fields = json.loads(line)
            shard = dataset_info.ShardInfo(**fields["shard"])
            if _is_intact(os.path.join(work, shard.file), shard):
                bad = [(path, reason) for path, reason in fields["bad"]]
                done[fields["file"]] = Outcome(shard, fields["per_class"], bad)
        return done


def _is_intact(path: str, shard: dataset_info.ShardInfo) -> bool:
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == shard.sha256
    except FileNotFoundError:
        return False
