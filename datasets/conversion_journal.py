"""The finished shards of a conversion, so that one that was killed goes on after the last of them.

No TensorFlow.
"""

import dataclasses
import hashlib
import json
import os
from typing import Any

from datasets import dataset_info
from slim import _files, _ownership

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


class Journal:
    """One JSON line a shard, below a line that says which conversion it is.

    Args:
      work: the directory of the journal and of the shards. If it holds those of another
        conversion, they are removed.
      fingerprint: of the conversion.

    Attributes:
      done: name of a shard -> outcome.
    """

    def __init__(self, work: str, fingerprint: str) -> None:
        self._path = os.path.join(work, JOURNAL)
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
            journal.write((json.dumps(value) + "\n").encode())

    def _read(self, work: str, fingerprint: str) -> dict[str, Outcome]:
        try:
            with open(self._path, encoding="utf-8") as journal:
                lines = journal.read().split("\n")[:-1]  # a kill may have cut the last
        except FileNotFoundError:
            return {}
        if not lines or json.loads(lines[0]) != fingerprint:
            return {}
        done = {}
        for line in lines[1:]:
            fields = json.loads(line)
            shard = dataset_info.ShardInfo(**fields["shard"])
            if _is_whole(os.path.join(work, shard.file), shard):
                bad = [(path, reason) for path, reason in fields["bad"]]
                done[fields["file"]] = Outcome(shard, fields["per_class"], bad)
        return done


def _is_whole(path: str, shard: dataset_info.ShardInfo) -> bool:
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == shard.sha256
    except FileNotFoundError:
        return False
