"""The events of a training run."""

import time
from collections.abc import Callable, Mapping

import numpy as np

from slim import learning
from slim.events import EventFile


class EventHook(learning.Hook):
    """Writes a step's numbers every so many seconds.

    Args:
      directory: where to.
      seconds: between two points.
      clock: seconds that never go back.
    """

    def __init__(
        self, directory: str, seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._directory = directory
        self._seconds = seconds
        self._clock = clock
        self._file: EventFile | None = None
        self._last = 0.0

    def begin(self, run: learning.Run) -> None:
        """Opens the file."""
        self._file = EventFile(self._directory)
        self._last = self._clock()

    def after_steps(self, run: learning.Run, numbers: Mapping[str, np.ndarray]) -> None:
        """Writes the last step's numbers if it is time, or the run is over."""
        now = self._clock()
        if now - self._last < self._seconds and run.step != run.number_of_steps:
            return
        self._last = now
        assert self._file is not None
        self._file.scalars(
            run.step, {f"train/{name}": values[-1] for name, values in numbers.items()}
        )
        self._file.flush()

    def end(self, run: learning.Run) -> None:
        """Closes the file."""
        if self._file is not None:
            self._file.close()
