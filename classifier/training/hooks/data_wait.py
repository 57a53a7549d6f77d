"""Warns once if a run spends much of its time waiting for data."""

import sys
import time
from collections.abc import Callable, Mapping
from typing import TextIO

import numpy as np

from classifier.config import problems
from classifier.resolve import warnings
from classifier.resolve.training import ResolvedRun
from slim import learning

_FRACTION = 0.2
_WARM_UP_STEPS = 20  # buffers fill, and tf.data adapts its threads
_STEPS, _SECONDS = 100, 10.0


class DataWait(learning.Hook):
    """Measures windows of steps after a warm-up; hooks, such as evaluation, do not count.

    Args:
      resolved: the run.
      in_place: whether the images are read in place.
      warm_up: number of steps before the first window.
      steps: minimum number of steps of a window.
      seconds: minimum duration of a window.
      stream: output. Default: stderr.
      clock: monotonic clock in seconds.
    """

    def __init__(
        self,
        resolved: ResolvedRun,
        in_place: bool,
        *,
        warm_up: int = _WARM_UP_STEPS,
        steps: int = _STEPS,
        seconds: float = _SECONDS,
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._resolved, self._in_place = resolved, in_place
        self._warm_up, self._min_steps, self._min_seconds = warm_up, steps, seconds
        self._stream = stream
        self._clock = clock
        self._is_over = False
        self._steps, self._waited, self._start = -warm_up, 0.0, 0.0

    def begin(self, run: learning.Run) -> None:
        """Starts the warm-up."""
        self._restart(run, -self._warm_up)

    def after_steps(self, run: learning.Run, numbers: Mapping[str, np.ndarray]) -> None:
        """Prints the warning at the end of the first window in which it is true."""
        if self._is_over:
            return
        is_warm_up = self._steps < 0
        self._steps += len(numbers["data_wait"])
        if is_warm_up:
            if self._steps >= 0:
                self._restart(run, 0)
            return
        self._waited += float(numbers["data_wait"].sum())
        seconds = self._clock() - run.overhead_seconds - self._start
        if self._steps < self._min_steps or seconds < self._min_seconds:
            return
        if self._waited > _FRACTION * seconds:
            fraction = min(1.0, self._waited / seconds)
            warning = warnings.data_wait(self._resolved, fraction, self._in_place)
            print(
                f"warning: {problems.as_flags(warning)}",
                file=self._stream or sys.stderr,
                flush=True,
            )
            self._is_over = True
        self._restart(run, 0)

    def after_rollback(self, run: learning.Run, reason: str) -> None:
        """Starts the warm-up again."""
        self._restart(run, -self._warm_up)

    def _restart(self, run: learning.Run, steps: int) -> None:
        self._steps, self._waited = steps, 0.0
        self._start = self._clock() - run.overhead_seconds
