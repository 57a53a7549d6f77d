"""Plots of a run's metrics, drawn from metrics.jsonl."""

import io
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from classifier.metrics_file import MetricsFile
from classifier.resolve.training import ResolvedRun
from slim import _checks, _files, _paths, learning

FILE = "curves.png"
_MAX_BYTES = 64 << 20
# Title of a plot -> {name in metrics.jsonl: label}.
PLOTS: Mapping[str, Mapping[str, str]] = {
    "loss": {"loss": "training", "eval_loss": "evaluation"},
    "accuracy": {"accuracy": "training", "eval_accuracy": "evaluation"},
    "micro F1": {"micro_f1": "training", "eval_micro_f1": "evaluation"},
    "mAP": {"eval_mean_average_precision": "evaluation"},
    "learning rate": {"learning_rate": "learning rate"},
}
# Plots of one class an image, and of several.
_OF_KINDS = {False: ("accuracy",), True: ("micro F1", "mAP")}


class Curves(learning.Hook):
    """Draws `curves.png` after each epoch and each evaluation, and at the end.

    Args:
      resolved: the run.
      directory: directory of the run.
      metrics: the run's metrics.jsonl.

    Raises:
      UserError: if matplotlib is not installed, or the path of the image is not a file.
    """

    def __init__(self, resolved: ResolvedRun, directory: str, metrics: MetricsFile) -> None:
        _checks.installed({"matplotlib": "matplotlib"})
        evaluations = (resolved.eval_every_steps,) if resolved.eval_every_steps else ()
        self._every = (resolved.steps_per_epoch, *evaluations)
        self._path = os.path.join(directory, FILE)
        self._metrics = metrics
        self._points: list[dict[str, float]] = []  # of the lines up to a byte of the file
        self._end = 0
        self._read_image()  # fail before the run starts

    def after_steps(self, run: learning.Run, numbers: Mapping[str, np.ndarray]) -> None:
        """Draws if an epoch ended or an evaluation was due."""
        before = run.step - len(numbers["loss"])
        if any(run.step // every > before // every for every in self._every):
            self._draw()

    def after_rollback(self, run: learning.Run, reason: str) -> None:
        """Forgets the lines that were removed."""
        self._points, self._end = [], 0

    def end(self, run: learning.Run) -> None:
        """Draws the curves."""
        self._draw()

    def _draw(self) -> None:
        lines, self._end = self._metrics.read_from(self._end)
        names = {"step"}.union(*PLOTS.values())
        self._points += [{n: value for n, value in line.items() if n in names} for line in lines]
        if self._points:
            png = io.BytesIO()
            draw(self._points).savefig(png, format="png")
            if png.getvalue() != self._read_image():
                _paths.write_atomically(self._path, png.getvalue())

    def _read_image(self) -> bytes | None:
        try:
            return _files.read_bounded(self._path, _MAX_BYTES)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _checks.UserError(
                f"{self._path} cannot be used: {error.strerror}. Move it away"
            ) from None


def draw(lines: Sequence[Mapping[str, Any]]) -> Any:
    """Returns a `matplotlib.figure.Figure` of the lines of metrics.jsonl."""
    import matplotlib.figure  # optional, and slow to import

    others = _OF_KINDS[not any("micro_f1" in line for line in lines)]
    plots = {title: names for title, names in PLOTS.items() if title not in others}
    figure = matplotlib.figure.Figure(figsize=(8, 3 * len(plots)), layout="constrained")
    for axes, (title, names) in zip(
        figure.subplots(len(plots), sharex=True), plots.items(), strict=True
    ):
        for name, label in names.items():
            points = [(line["step"], line[name]) for line in lines if name in line]
            if points:
                steps, values = zip(*points, strict=True)
                axes.plot(steps, values, label=label, marker="." if len(points) < 30 else "")
        axes.set_ylabel(title)
        axes.grid(alpha=0.3)
        if axes.lines:
            axes.legend()
    axes.set_xlabel("step")
    return figure
