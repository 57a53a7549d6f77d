"""A message when nothing happens for minutes: what the run is at, and what to try."""

import faulthandler
import sys
import threading
import time
from collections.abc import Callable, Mapping
from typing import TextIO

import numpy as np

from slim import learning

# By what the run is doing; a hook has the name of its class.
_ADVICE = {
    "building": (
        "building the step",
        (
            "large networks take minutes for it; beyond that, the machine has too little memory "
            "or too many other processes"
        ),
    ),
    "waiting": (
        "waiting for data",
        (
            "a disk or a network file system does not answer, or pictures decode slowly: copy "
            "--dataset_dir to a local disk, raise --num_preprocessing_threads"
        ),
    ),
    "computing": (
        "computing a step",
        (
            "a device or another worker does not answer, or the step is large: look at the device, "
            "lower --batch_size or --steps_per_loop"
        ),
    ),
    "saving": (
        "saving a checkpoint",
        (
            "the disk of --train_dir is slow, full, or does not answer; a killed run goes on from "
            "the checkpoint before"
        ),
    ),
    "Validation": (
        "evaluating",
        (
            "the split is large, or its files do not answer: evaluate less often, or raise "
            "--watchdog_minutes"
        ),
    ),
}
_LOOKS = 10  # in the time without progress after which it speaks


class Watchdog(learning.Hook):
    """Speaks, once a standstill, when a run makes no progress.

    Args:
      minutes: without progress before it speaks.
      stream: where to; stacks need a real file. Default: stderr.
      clock: seconds that never go back.
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
        self._seen: tuple[object, ...] = ()
        self._since = 0.0
        self._spoke = False

    def begin(self, run: learning.Run) -> None:
        """Starts to watch, in a thread of its own."""
        self._run = run
        self._since = self._clock()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)
        self._thread.start()

    def end(self, run: learning.Run) -> None:
        """Stops watching."""
        self._over.set()
        if self._thread is not None:
            self._thread.join()

    def after_steps(self, run: learning.Run, numbers: Mapping[str, np.ndarray]) -> None:
        """Takes steps for progress."""
        self._progress()

    def after_save(self, run: learning.Run, prefix: str) -> None:
        """Takes a checkpoint for progress."""
        self._progress()

    def _progress(self) -> None:
        self._since, self._spoke = self._clock(), False

    def _watch(self) -> None:
        while not self._over.wait(self._seconds / _LOOKS):
            assert self._run is not None
            seen = (self._run.step, self._run.doing)
            if seen != self._seen:
                self._seen = seen
                self._progress()
            silent = self._clock() - self._since
            if silent >= self._seconds and not self._spoke:
                self._spoke = True
                self._speak(self._run, silent)

    def _speak(self, run: learning.Run, silent: float) -> None:
        stream = self._stream or sys.__stderr__ or sys.stderr
        doing = run.train_op.activity if run.doing == "steps" else run.doing
        what, advice = _ADVICE.get(doing, (f"in {doing}", "see the stacks below"))
        print(
            f"no progress for {silent / 60:.3g} minutes at step {run.step}, {what}: {advice}. The "
            "run goes on waiting; the stacks of its threads:",
            file=stream,
            flush=True,
        )
        faulthandler.dump_traceback(file=stream, all_threads=True)
