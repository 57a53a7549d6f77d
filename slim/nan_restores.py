"""Going on after a loss that is no number: how often a run did, and which batches it left out."""

import dataclasses
import json
import os

from slim import _json, _paths

FILE = "nan_restores.json"


@dataclasses.dataclass(frozen=True)
class NanRestore:
    """One return to a checkpoint.

    Attributes:
      step: of the checkpoint.
      failed_step: number of steps that were done before the one that failed.
      skipped: batches that are left out from `step` on.
    """

    step: _json.Step
    failed_step: _json.Step
    skipped: _json.Step

    def __post_init__(self) -> None:
        if self.failed_step < self.step or self.skipped != self.failed_step + 1 - self.step:
            raise ValueError(
                f"skipped is {self.skipped}, but step is {self.step} and failed_step is"
                f" {self.failed_step}"
            )


class NanRestores:
    """The returns of a run, in a file of its directory.

    The run goes on with the batch behind the one that failed, so what it does next differs from
    what it did. Batch k of the data is then no longer step k's: `skipped` says by how many they
    differ, for a run that is resumed too.

    Args:
      directory: of the run.
      most: how many returns there may be, over all resumptions.

    Raises:
      UserError: if the file is damaged.
    """

    def __init__(self, directory: str, most: int) -> None:
        self.most = most
        self._path = os.path.join(directory, FILE)
        self._done = self._read()

    @property
    def count(self) -> int:
        """Number of returns so far."""
        return len(self._done)

    def skipped(self, step: int) -> int:
        """Returns how many batches the run has left out when it is at a step."""
        return sum(each.skipped for each in self._done if each.step <= step)

    def add(self, step: int, failed_step: int) -> NanRestore:
        """Notes a return to `step` after `failed_step`, and returns the note."""
        new = NanRestore(step, failed_step, failed_step + 1 - step)
        self._done.append(new)
        text = json.dumps([dataclasses.asdict(each) for each in self._done], indent=2) + "\n"
        _paths.write_atomically(self._path, text.encode())
        return new

    def _read(self) -> list[NanRestore]:
        advice = "Bring back a copy, or remove it and train from the data's beginning"
        return _json.read(self._path, list[NanRestore], advice=advice) or []
