"""Watchdog: a warning with advice when a run makes no progress for minutes."""

import faulthandler
import sys
import threading
import time
from collections.abc import Callable, Mapping
from typing import TextIO

import numpy as np

from classifier.config.problems import Problem, as_flags, named
from slim import learning

# Activity of the run, or class name of a hook -> (description, advice).
_ADVICE = {
    "building": (
        "building the step",
        Problem(
            "large networks take minutes; otherwise the machine lacks memory or runs too many "
            "other processes"
        ),
    ),
    "waiting": (
        "waiting for data",
        Problem(
            "a disk or a network file system does not respond, or decoding is slow; copy {} to a "
            "local disk or increase {}",
            named("dataset_dir"),
            named("num_preprocessing_threads"),
        ),
    ),
    "computing": (
        "computing a step",
        Problem(
            "a device or another worker does not respond, or the step is large; check the device "
            "or reduce {} or {}",
            named("batch_size"),
            named("steps_per_loop"),
        ),
    ),
    "saving": (
        "saving a checkpoint",
        Problem(
            "the disk of {} is slow, full or does not respond; if the run is killed, it resumes "
            "from the previous checkpoint",
            named("train_dir"),
        ),
    ),
    "Validation": (
        "evaluating",
        Problem(
            "the split is large, or its disk does not respond; evaluate less often or increase {}",
            named("watchdog_minutes"),
        ),
    ),
}
_CHECKS_PER_TIMEOUT = 10


class Watchdog(learning.Hook):
    """Prints a warning and the stacks of all threads when a run makes no progress.

    Args:
      minutes: minutes without progress before the warning, which is printed once per stall.
      stream: output; it needs a file descriptor. Default: stderr.
      clock: monotonic clock in seconds.
    """

    def __init__(
        self,
        minutes: float,
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._seconds = 60 * minutes
        self._stream = stream
        self._clock = clock
        self._run: learning.Run | None = None
        self._over = threading.Event()
        self._thread: threading.Thread | None = None
        self._state: tuple[object, ...] = ()
        self._since = 0.0
        self._has_warned = False

    def begin(self, run: learning.Run) -> None:
        """Starts the watching thread."""
        self._run = run
        self._since = self._clock()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)
        self._thread.start()

    def end(self, run: learning.Run) -> None:
        """Stops the thread."""
        self._over.set()
        if self._thread is not None:
            self._thread.join()

    def after_steps(self, run: learning.Run, numbers: Mapping[str, np.ndarray]) -> None:
        """Counts steps as progress."""
        self._progress()

    def after_save(self, run: learning.Run, prefix: str) -> None:
        """Counts a checkpoint as progress."""
        self._progress()

    def _progress(self) -> None:
        self._since, self._has_warned = self._clock(), False

    def _watch(self) -> None:
        while not self._over.wait(self._seconds / _CHECKS_PER_TIMEOUT):
            assert self._run is not None
            state = (self._run.step, self._run.doing)
            if state != self._state:
                self._state = state
                self._progress()
            stalled = self._clock() - self._since
            if stalled >= self._seconds and not self._has_warned:
                self._has_warned = True
                self._warn(self._run, stalled)

    def _warn(self, run: learning.Run, stalled: float) -> None:
        stream = self._stream or sys.__stderr__ or sys.stderr
        doing = run.train_op.activity if run.doing == "steps" else run.doing
        activity, advice = _ADVICE.get(doing, (f"in {doing}", "see the stacks below"))
        print(
            f"no progress for {stalled / 60:.3g} minutes at step {run.step}, {activity}: "
            f"{as_flags(advice)}. The run keeps waiting. Stacks of its threads:",
            file=stream,
            flush=True,
        )
        faulthandler.dump_traceback(file=stream, all_threads=True)
