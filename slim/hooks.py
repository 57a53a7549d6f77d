"""The state of a training run and the actions around its steps; the two hooks of every run."""

import dataclasses
import time
from collections.abc import Callable, Mapping

import numpy as np

from slim import _checks
from slim._timer import Timer
from slim.checkpoints import Checkpoints, Restored
from slim.events import EventFile
from slim.train_op import TrainOp

# TF-Slim's names of the metrics that it writes too.
_TF_SLIM_NAMES = {"loss": "total_loss", "learning_rate": "learning_rate"}


@dataclasses.dataclass
class Run:
    """The state of a run, as hooks see it.

    Attributes:
      train_op: the step and its variables.
      checkpoints: where they are saved, or None if the run has no directory.
      step: number of completed steps.
      number_of_steps: the last step, or None.
      restored: the checkpoint that the run was resumed from, or None.
      stop_reason: why a hook ends the run before `number_of_steps`, or None.
      doing: current activity: "steps", "saving", or the name of a hook's class.
      overhead_seconds: time that hooks and saving have taken so far.
      is_stopped: returns whether a signal asked the run to save and end.
    """

    train_op: TrainOp
    checkpoints: Checkpoints | None
    step: int
    number_of_steps: int | None
    restored: Restored | None = None
    stop_reason: str | None = None
    doing: str = "steps"
    overhead_seconds: float = 0.0
    is_stopped: Callable[[], bool] | None = None
    _saved: tuple[int, str] | None = None

    @property
    def is_over(self) -> bool:
        """Whether no step is left."""
        finished = self.number_of_steps is not None and self.step >= self.number_of_steps
        return finished or self.stop_reason is not None

    def rolled_back_to(self, step: int) -> None:
        """Records that the variables were restored to an older step."""
        self.step, self._saved = step, None

    def save(self) -> str:
        """Writes a checkpoint of this step, unless that was done before; returns its prefix.

        Raises:
          UserError: if the run has no directory.
        """
        if self.checkpoints is None:
            raise _checks.UserError("logdir=None: this run saves no checkpoints. Pass a logdir")
        if self._saved is None or self._saved[0] != self.step:
            prefix = self.checkpoints.save(self.step, self.train_op.store.named_variables)
            self._saved = self.step, prefix
        return self._saved[1]


class Hook:
    """Actions around the steps; the default of every method does nothing."""

    def begin(self, run: Run) -> None:
        """Called before the first step, after the variables are initialized or restored."""

    def after_steps(self, run: Run, numbers: Mapping[str, np.ndarray]) -> None:
        """Called after steps; `numbers` has one value per step, by name, for the latest steps up to
        `run.step`."""

    def after_save(self, run: Run, prefix: str) -> None:
        """Called after a checkpoint was written."""

    def after_rollback(self, run: Run, reason: str) -> None:
        """Called after a rollback to the checkpoint of `run.step` because of a non-finite loss."""

    def end(self, run: Run) -> None:
        """Called once after the last step, also if the run is stopped or fails."""


class LossLog(Hook):
    """Prints the loss of every n-th step, as TF-Slim logs it.

    Args:
      every: steps between two lines.
      clock: monotonic clock in seconds.
    """

    def __init__(self, every: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._every = every
        self._clock = clock
        self._last, self._overhead = 0.0, 0.0

    def begin(self, run: Run) -> None:
        """Starts the clock."""
        self._last, self._overhead = self._clock(), run.overhead_seconds

    def after_steps(self, run: Run, numbers: Mapping[str, np.ndarray]) -> None:
        """Prints the lines that are due; the time is the mean of the steps of a round trip."""
        last, overhead = self._last, self._overhead
        self.begin(run)
        seconds = max(0.0, self._last - last - (self._overhead - overhead)) / len(numbers["loss"])
        first = run.step - len(numbers["loss"]) + 1
        for step, loss in enumerate(numbers["loss"], first):
            if step % self._every == 0:
                line = f"global step {step}: loss = {loss:.4f} ({seconds:.3f} sec/step)"
                print(line, flush=True)

    def after_rollback(self, run: Run, reason: str) -> None:
        """Prints the reason."""
        print(reason, flush=True)
        self.begin(run)


class ScalarSummaries(Hook):
    """Writes the metrics of the last step for TensorBoard, at regular intervals and at the end.

    Args:
      directory: directory of the event file.
      seconds: seconds between two points.
      clock: monotonic clock in seconds.
    """

    def __init__(
        self, directory: str, seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._file = EventFile(directory)
        self._timer = Timer(seconds, clock)
        self._first_step, self._written = 0, -1
        self._numbers: Mapping[str, np.ndarray] = {}

    def begin(self, run: Run) -> None:
        """Starts the clock."""
        self._timer.restart()
        self._first_step = self._written = run.step

    def after_steps(self, run: Run, numbers: Mapping[str, np.ndarray]) -> None:
        """Writes the metrics if they are due."""
        self._numbers = numbers
        if self._timer.is_due():
            self._write(run)

    def after_rollback(self, run: Run, reason: str) -> None:
        """Starts the clock again at the older step."""
        self.begin(run)

    def end(self, run: Run) -> None:
        """Writes the last metrics and closes the file."""
        if run.step > self._written and self._numbers:
            self._write(run)
        self._file.close()

    def _write(self, run: Run) -> None:
        scalars = {scalar_tag(name): float(each[-1]) for name, each in self._numbers.items()}
        steps = run.step - self._first_step
        scalars["global_step/sec"] = steps / max(self._timer.elapsed, 1e-9)
        self._file.scalars(run.step, scalars)
        self._file.flush()
        self.begin(run)


def scalar_tag(name: str) -> str:
    """Returns a metric's name in TensorBoard: TF-Slim's, or `train/NAME`."""
    return _TF_SLIM_NAMES.get(name, name if "/" in name else f"train/{name}")
