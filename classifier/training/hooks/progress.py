"""What a run tells while it trains: a log line and a bar for people, metrics.jsonl for programs."""

import datetime
import sys
import time
from collections.abc import Callable, Mapping

import numpy as np
import tqdm

from classifier.metrics_file import MetricsFile
from classifier.resolve.training import ResolvedRun
from slim import learning


class Progress(learning.Hook):
    """Tells loss, accuracy, learning rate, speed, waiting and time left, every so many steps.

    Args:
      resolved: the run.
      every: steps between two log lines; the numbers are means over the steps since the last one,
        and the speed is that of the steps alone.
      metrics: where they are kept.
      clock: seconds that never go back.
    """

    def __init__(
        self,
        resolved: ResolvedRun,
        every: int,
        metrics: MetricsFile,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._resolved = resolved
        self._every = every
        self._metrics = metrics
        self._clock = clock
        self._bar: tqdm.tqdm | None = None
        self._numbers: dict[str, list[np.ndarray]] = {}
        self._since, self._beside = 0.0, 0.0

    def begin(self, run: learning.Run) -> None:
        """Starts the clock, and a bar if this is a terminal."""
        self._metrics.rewind(run.step)
        self._restart(run)
        if sys.stdout.isatty():
            self._bar = tqdm.tqdm(
                total=run.number_of_steps,
                initial=run.step,
                unit="step",
                file=sys.stdout,
                dynamic_ncols=True,
            )

    def after_steps(self, run: learning.Run, numbers: Mapping[str, np.ndarray]) -> None:
        """Gathers the numbers and tells them when it is time."""
        for name, values in numbers.items():
            self._numbers.setdefault(name, []).append(values)
        steps = len(numbers["loss"])
        if self._bar is not None:
            self._bar.update(steps)
        last = run.step == run.number_of_steps
        if run.step // self._every > (run.step - steps) // self._every or last:
            self._tell(run)

    def after_rollback(self, run: learning.Run, reason: str) -> None:
        """Says so, and drops the numbers of the steps that are done anew."""
        print(reason, file=sys.stderr, flush=True)
        self._metrics.rewind(run.step)
        self._numbers.clear()
        self._restart(run)
        if self._bar is not None:
            self._bar.n = run.step
            self._bar.refresh()

    def end(self, run: learning.Run) -> None:
        """Closes the bar."""
        if self._bar is not None:
            self._bar.close()

    def _restart(self, run: learning.Run) -> float:
        """Returns the seconds since the last call that steps took, without what was done beside."""
        since, beside = self._since, self._beside
        self._since, self._beside = self._clock(), run.overhead_seconds
        return max(self._since - since - (self._beside - beside), 1e-9)

    def _tell(self, run: learning.Run) -> None:
        seconds = self._restart(run)
        numbers = {name: np.concatenate(values) for name, values in self._numbers.items()}
        self._numbers.clear()
        steps = len(numbers["loss"])
        wait = min(1.0, float(numbers["data_wait"].sum()) / seconds)
        values = {
            "step": run.step,
            "epoch": round(run.step / self._resolved.steps_per_epoch, 4),
            "loss": float(numbers["loss"].mean()),
            "accuracy": float(numbers["accuracy"].mean()),
            "learning_rate": float(numbers["learning_rate"][-1]),
            "gradient_norm": float(numbers["gradient_norm"].mean()),
            "images_per_second": steps * self._resolved.global_batch_size / seconds,
            "data_wait": wait,
            "time": time.time(),
        }
        if "loss_scale" in numbers:
            values["loss_scale"] = float(numbers["loss_scale"][-1])
        self._metrics.append(values)
        line = log_line(values, run.number_of_steps, seconds / steps)
        if self._bar is None:
            print(line, flush=True)
        else:
            self._bar.set_postfix_str(line.partition(" epoch ")[2])


def log_line(
    values: Mapping[str, float], number_of_steps: int | None, seconds_per_step: float
) -> str:
    """Returns `global step 1200: loss = 0.8100 (0.078 sec/step) epoch 3.10 acc 0.7400 lr 0.01
    412.0 img/s data-wait 3% eta 0:04:56 (5000 steps)`, which starts as a log line of TF-Slim does.

    Args:
      values: a line of metrics.jsonl.
      number_of_steps: last step of the run; None if there is none.
      seconds_per_step: duration of a step.
    """
    left = ""
    if number_of_steps is not None:
        seconds = round((number_of_steps - values["step"]) * seconds_per_step)
        left = f" eta {datetime.timedelta(seconds=seconds)} ({number_of_steps} steps)"
    return (
        f"global step {values['step']}: loss = {values['loss']:.4f} "
        f"({seconds_per_step:.3f} sec/step) epoch {values['epoch']:.2f} "
        f"acc {values['accuracy']:.4f} lr {values['learning_rate']:.5g} "
        f"{values['images_per_second']:.1f} img/s data-wait {values['data_wait']:.0%}{left}"
    )
