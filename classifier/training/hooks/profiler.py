"""A trace of some steps by TensorFlow's profiler."""

import os
from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from slim import learning


class Profile(learning.Hook):
    """Profiles steps, to `plugins/profile` in a directory.

    Steps that Python does not see one by one (`steps_per_loop`) are profiled as a whole if one of
    them is asked for.

    Args:
      directory: of the run.
      first: number of the first step; a run's first is 1.
      last: number of the last step.
      steps_per_loop: of the run.
    """

    def __init__(self, directory: str, first: int, last: int, steps_per_loop: int = 1) -> None:
        self._directory = directory
        self._first = first
        self._last = last
        self._steps_per_loop = steps_per_loop
        self._begun: int | None = None
        self._is_done = False

    def begin(self, run: learning.Run) -> None:
        """Starts if the next step is one of them; says so if they are over."""
        if run.step >= self._last:
            self._is_done = True
            print(f"profile_steps={self._first},{self._last} are over: nothing to profile")
        self._start_if_due(run)

    def after_steps(self, run: learning.Run, numbers: Mapping[str, np.ndarray]) -> None:
        """Starts or stops where it is time."""
        if self._begun is not None and run.step >= self._last:
            self._stop(run)
        self._start_if_due(run)

    def end(self, run: learning.Run) -> None:
        """Writes what there is, if the run ends before."""
        if self._begun is not None:
            self._stop(run)

    def _start_if_due(self, run: learning.Run) -> None:
        is_due = run.step + self._steps_per_loop >= self._first and not run.is_over
        if self._is_done or self._begun is not None or not is_due:
            return
        tf.profiler.experimental.start(self._directory)
        self._begun = run.step + 1

    def _stop(self, run: learning.Run) -> None:
        begun, self._begun, self._is_done = self._begun, None, True
        tf.profiler.experimental.stop()
        folder = os.path.join(self._directory, "plugins", "profile")
        print(f"profiled steps {begun} to {run.step}: see {folder}", flush=True)
