"""Records the rollbacks of a run after a non-finite loss, and the batches skipped by them."""

import dataclasses
import json
import os

from slim import _json, _paths

FILE = "nan_restores.json"


@dataclasses.dataclass(frozen=True)
class NanRestore:
    """A rollback to a checkpoint.

    Attributes:
      step: step of the checkpoint.
      failed_step: number of completed steps before the one that failed.
      skipped: number of batches skipped after `step`.
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
    """The rollbacks of a run, in a file of its directory.

    After a rollback, training continues after the batch that failed, so it does not fail again.
    From then on, step k does not use batch k: `skipped` is the difference, also for a resumed run.

    Args:
      directory: the run directory; None if there is none, and no rollback.
      most: maximum number of rollbacks, over all resumptions.

    Raises:
      UserError: if the file is damaged.
    """

    def __init__(self, directory: str | None, most: int) -> None:
        self.most = most
        self._path = os.path.join(directory or "", FILE)
        self._rollbacks = [] if directory is None else self._read()

    @property
    def count(self) -> int:
        """Number of rollbacks so far."""
        return len(self._rollbacks)

    def skipped(self, step: int) -> int:
        """Returns the number of batches that the run has skipped before a step."""
        return sum(each.skipped for each in self._rollbacks if each.step <= step)

    def add(self, step: int, failed_step: int) -> NanRestore:
        """Records a rollback to `step` after `failed_step`, and returns it."""
        new = NanRestore(step, failed_step, failed_step + 1 - step)
        self._rollbacks.append(new)
        text = json.dumps([dataclasses.asdict(each) for each in self._rollbacks], indent=2) + "\n"
        _paths.write_atomically(self._path, text.encode())
        return new

    def _read(self) -> list[NanRestore]:
        advice = "Restore a backup, or remove it to read the data from its beginning"
        return _json.read(self._path, list[NanRestore], advice=advice) or []
