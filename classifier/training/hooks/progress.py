"""Progress of a run: log lines, a progress bar and metrics.jsonl."""

import datetime
import sys
import time
from collections.abc import Callable, Mapping

import numpy as np
import tqdm
from tqdm import contrib

from classifier.headlines import ONE_CLASS, Headline, headline
from classifier.metrics_file import MetricsFile
from classifier.resolve.training import ResolvedRun
from slim import _terminal, learning


class Progress(learning.Hook):
    """Logs loss, accuracy (or F1 score), learning rate, speed, data wait and remaining time.

    The first two are means over the steps since the last line. The speed excludes hooks, such
    as evaluation.

    Args:
      resolved: the run.
      every: steps between two log lines.
      metrics: the run's metrics.jsonl.
      clock: monotonic clock in seconds.
    """

    def __init__(
        self,
        resolved: ResolvedRun,
        every: int,
        metrics: MetricsFile,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._resolved = resolved
        self._headline = headline(resolved.model.multi_label)
        self._every = every
        self._metrics = metrics
        self._clock = clock
        self._bar: tqdm.tqdm | None = None
        self._numbers: dict[str, list[np.ndarray]] = {}
        self._start, self._overhead = 0.0, 0.0

    def begin(self, run: learning.Run) -> None:
        """Starts the clock, and the progress bar if stdout is a terminal."""
        self._metrics.rewind(run.step)
        self._restart(run)
        if _terminal.is_terminal(sys.stdout):
            self._stdout = sys.stdout
            self._bar = tqdm.tqdm(
                total=run.number_of_steps,
                initial=run.step,
                unit="step",
                file=sys.stdout,
                dynamic_ncols=True,
            )
            sys.stdout = contrib.DummyTqdmFile(sys.stdout)  # lines of hooks go above the bar

    def after_steps(self, run: learning.Run, numbers: Mapping[str, np.ndarray]) -> None:
        """Collects the metrics and logs them if a line is due."""
        for name, values in numbers.items():
            self._numbers.setdefault(name, []).append(values)
        steps = len(numbers["loss"])
        if self._bar is not None:
            self._bar.update(steps)
        last = run.step == run.number_of_steps
        if run.step // self._every > (run.step - steps) // self._every or last:
            self._log(run)

    def after_rollback(self, run: learning.Run, reason: str) -> None:
        """Logs the rollback and drops the metrics of the steps that are repeated."""
        print(reason, file=sys.stderr, flush=True)
        self._metrics.rewind(run.step)
        self._numbers.clear()
        self._restart(run)
        if self._bar is not None:
            self._bar.n = run.step
            self._bar.refresh()

    def end(self, run: learning.Run) -> None:
        """Closes the progress bar."""
        if self._bar is not None:
            sys.stdout = self._stdout
            self._bar.close()

    def _restart(self, run: learning.Run) -> float:
        """Returns the seconds spent in steps since the last call."""
        start, overhead = self._start, self._overhead
        self._start, self._overhead = self._clock(), run.overhead_seconds
        return max(self._start - start - (self._overhead - overhead), 1e-9)

    def _log(self, run: learning.Run) -> None:
        seconds = self._restart(run)
        numbers = {name: np.concatenate(values) for name, values in self._numbers.items()}
        self._numbers.clear()
        steps = len(numbers["loss"])
        values = {
            "step": run.step,
            "epoch": round(run.step / self._resolved.steps_per_epoch, 4),
            "loss": float(numbers["loss"].mean()),
            self._headline.training: float(numbers[self._headline.training].mean()),
            "learning_rate": float(numbers["learning_rate"][-1]),
            "gradient_norm": float(numbers["gradient_norm"].mean()),
            "images_per_second": steps * self._resolved.global_batch_size / seconds,
            "data_wait": min(1.0, float(numbers["data_wait"].sum()) / seconds),
            "time": time.time(),
        }
        if "loss_scale" in numbers:
            values["loss_scale"] = float(numbers["loss_scale"][-1])
        self._metrics.append(values)
        line = log_line(values, run.number_of_steps, seconds / steps, self._headline)
        if self._bar is None:
            print(line, flush=True)
        else:
            self._bar.set_postfix_str(line.partition(" epoch ")[2])


def log_line(
    values: Mapping[str, float],
    number_of_steps: int | None,
    seconds_per_step: float,
    metric: Headline = ONE_CLASS,
) -> str:
    """Returns `global step 1200: loss = 0.8100 (0.078 sec/step) epoch 3.10 acc 0.7400 lr 0.01
    412.0 img/s data-wait 3% eta 0:04:56 (5000 steps)`, which starts as a log line of TF-Slim does.

    Args:
      values: a line of metrics.jsonl.
      number_of_steps: number of training steps. None: unlimited.
      seconds_per_step: duration of a step.
      metric: the metric of the run's kind of labels.
    """
    eta = ""
    if number_of_steps is not None:
        seconds = round((number_of_steps - values["step"]) * seconds_per_step)
        eta = f" eta {datetime.timedelta(seconds=seconds)} ({number_of_steps} steps)"
    return (
        f"global step {values['step']}: loss = {values['loss']:.4f} "
        f"({seconds_per_step:.3f} sec/step) epoch {values['epoch']:.2f} "
        f"{metric.short} {values[metric.training]:.4f} lr {values['learning_rate']:.5g} "
        f"{values['images_per_second']:.1f} img/s data-wait {values['data_wait']:.0%}{eta}"
    )
