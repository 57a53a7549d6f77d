"""The events of a training run."""

import time
from collections.abc import Callable, Mapping

import numpy as np

from classifier.training.hooks.activations import Activations
from slim import learning
from slim._timer import Timer
from slim.events import EventFile, histogram

# Other numbers are ours alone.
_ORIGINAL_NAMES = {"loss": "total_loss", "learning_rate": "learning_rate"}


class EventHook(learning.Hook):
    """Writes a step's numbers every so many seconds, and histograms of the network's variables and
    of its activations.

    Args:
      directory: where to.
      seconds: between two points.
      activations: what is computed of the next step's batch.
      clock: seconds that never go back.
    """

    def __init__(
        self,
        directory: str,
        seconds: float,
        activations: Activations,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._file = EventFile(directory)
        self._activations = activations
        self._timer = Timer(seconds, clock)
        self._last_step = 0

    def begin(self, run: learning.Run) -> None:
        """Counts from now on."""
        self._restart(run)

    def after_steps(self, run: learning.Run, numbers: Mapping[str, np.ndarray]) -> None:
        """Writes the last step's numbers if it is time, or the run is over."""
        if not self._timer.is_due() and run.step != run.number_of_steps:
            return
        seconds = max(self._timer.elapsed, 1e-9)
        scalars = {_shown(name): values[-1] for name, values in numbers.items()}
        scalars["global_step/sec"] = (run.step - self._last_step) / seconds
        self._file.scalars(run.step, scalars)
        self._write_histograms(run)
        self._file.flush()
        self._restart(run)

    def _restart(self, run: learning.Run) -> None:
        self._timer.restart()
        self._last_step = run.step

    def _write_histograms(self, run: learning.Run) -> None:
        """Writes them under the names that the original gives them."""
        store = run.train_op.store
        variables = {
            name: histogram(store.named_variable(name))
            for name, record in store.records.items()
            if record.model
        }
        found = self._activations(store, run.step)
        activations = {f"activations/{name}": buckets for name, (buckets, _) in found.items()}
        self._file.histograms(run.step, variables | activations)
        zeros = {f"sparsity/{name}": share for name, (_, share) in found.items()}
        self._file.scalars(run.step, zeros)

    def end(self, run: learning.Run) -> None:
        """Closes the file."""
        self._file.close()


def _shown(name: str) -> str:
    return _ORIGINAL_NAMES.get(name, name if "/" in name else f"train/{name}")
