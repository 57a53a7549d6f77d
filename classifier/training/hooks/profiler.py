"""Trace of some steps by TensorFlow's profiler."""

import os
from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from classifier.config.problems import named
from slim import learning


class Profile(learning.Hook):
    """Profiles steps and writes the trace to `plugins/profile` in the run's directory.

    With `steps_per_loop`, whole loops are profiled.

    Args:
      directory: directory of the run.
      first: first step to profile, from 1.
      last: last step to profile.
      steps_per_loop: training steps per host round trip.
    """

    def __init__(self, directory: str, first: int, last: int, steps_per_loop: int = 1) -> None:
        self._directory = directory
        self._first = first
        self._last = last
        self._steps_per_loop = steps_per_loop
        self._first_profiled: int | None = None
        self._is_done = False

    def begin(self, run: learning.Run) -> None:
        """Starts profiling if the next step is due; logs if the last one is already done."""
        if run.step >= self._last:
            self._is_done = True
            steps = named("profile_steps", (self._first, self._last)).as_flags
            print(f"profiler: {steps} has no effect, the run is at step {run.step}")
        self._start_if_due(run)

    def after_steps(self, run: learning.Run, numbers: Mapping[str, np.ndarray]) -> None:
        """Starts or stops profiling if it is due."""
        if self._first_profiled is not None and run.step >= self._last:
            self._stop(run)
        self._start_if_due(run)

    def end(self, run: learning.Run) -> None:
        """Writes the trace if the run ends before the last step to profile."""
        if self._first_profiled is not None:
            self._stop(run)

    def _start_if_due(self, run: learning.Run) -> None:
        is_due = run.step + self._steps_per_loop >= self._first and not run.is_over
        if self._is_done or self._first_profiled is not None or not is_due:
            return
        tf.profiler.experimental.start(self._directory)
        self._first_profiled = run.step + 1

    def _stop(self, run: learning.Run) -> None:
        first, self._first_profiled, self._is_done = self._first_profiled, None, True
        tf.profiler.experimental.stop()
        trace_dir = os.path.join(self._directory, "plugins", "profile")
        print(f"profiler: wrote steps {first} to {run.step} to {trace_dir}", flush=True)
