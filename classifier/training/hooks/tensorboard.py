"""Event file of a training run for TensorBoard."""

import time
from collections.abc import Callable, Mapping

import numpy as np

from classifier.training.hooks.activations import Activations
from slim import learning
from slim._timer import Timer
from slim.events import EventFile, histogram
from slim.hooks import scalar_tag


class EventHook(learning.Hook):
    """Writes metrics and histograms of the variables and activations at regular intervals.

    Args:
      directory: directory of the event file.
      seconds: seconds between two points.
      activations: summaries of the last step's batch.
      last_batch: function from a run to the batch of its last step.
      clock: monotonic clock in seconds.
    """

    def __init__(
        self,
        directory: str,
        seconds: float,
        activations: Activations,
        last_batch: Callable[[learning.Run], Mapping[str, np.ndarray]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._file = EventFile(directory)
        self._activations = activations
        self._last_batch = last_batch
        self._timer = Timer(seconds, clock)
        self._last_step = 0

    def begin(self, run: learning.Run) -> None:
        """Starts the clock."""
        self._restart(run)

    def after_steps(self, run: learning.Run, numbers: Mapping[str, np.ndarray]) -> None:
        """Writes the last step's metrics if they are due, and at the end of the run."""
        if not self._timer.is_due() and run.step != run.number_of_steps:
            return
        seconds = max(self._timer.elapsed, 1e-9)
        scalars = {scalar_tag(name): values[-1] for name, values in numbers.items()}
        scalars["global_step/sec"] = (run.step - self._last_step) / seconds
        self._file.scalars(run.step, scalars)
        self._write_histograms(run)
        self._file.flush()
        self._restart(run)

    def _restart(self, run: learning.Run) -> None:
        self._timer.restart()
        self._last_step = run.step

    def _write_histograms(self, run: learning.Run) -> None:
        """Writes histograms and sparsity under TF-Slim's names."""
        store = run.train_op.store
        variables = {
            name: histogram(store.named_variable(name))
            for name, record in store.records.items()
            if record.model
        }
        summaries = self._activations(store, run.step, self._last_batch(run)["image"])
        activations = {f"activations/{name}": buckets for name, (buckets, _) in summaries.items()}
        self._file.histograms(run.step, variables | activations)
        sparsity = {f"sparsity/{name}": zeros for name, (_, zeros) in summaries.items()}
        self._file.scalars(run.step, sparsity)

    def end(self, run: learning.Run) -> None:
        """Closes the event file."""
        self._file.close()
