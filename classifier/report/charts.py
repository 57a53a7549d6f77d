"""The charts of the report, as SVG."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from classifier.report.scores import NUM_BINS, Calibration
from classifier.report.templates import Html, fill, fill_each

WIDTH, HEIGHT = 360, 220
LEFT, RIGHT, TOP, BOTTOM = 44, 10, 10, 30  # margins
MAX_POINTS = 240  # of a curve
# Heights of the reliability diagram, the histogram below it, and between them.
_SIDE, _HISTOGRAM, _BETWEEN = 240, 56, 12

# Title of a chart -> {name in metrics.jsonl: label}.
CURVES: Mapping[str, Mapping[str, str]] = {
    "Loss": {"loss": "training", "eval_loss": "evaluation"},
    "Accuracy": {"accuracy": "training", "eval_accuracy": "evaluation"},
    "Micro F1": {"micro_f1": "training", "eval_micro_f1": "evaluation"},
    "mAP": {"eval_mean_average_precision": "evaluation"},
    "Learning rate": {"learning_rate": "learning rate"},
}


class Scale(NamedTuple):
    """Maps values to pixels.

    Attributes:
      low: smallest value.
      high: largest value.
      begin: pixel of `low`.
      end: pixel of `high`.
    """

    low: float
    high: float
    begin: float
    end: float

    def __call__(self, value: float) -> float:
        """Returns the pixel of a value."""
        span = self.high - self.low
        fraction = (value - self.low) / span if span else 0.5
        return self.begin + fraction * (self.end - self.begin)

    def ticks(self, number: int = 5) -> list[float]:
        """Returns about this number of round values within the scale."""
        if self.high <= self.low:
            return [self.low]
        raw = (self.high - self.low) / number
        unit = 10.0 ** math.floor(math.log10(raw))
        step = next(unit * each for each in (1, 2, 5, 10) if raw <= unit * each * (1 + 1e-9))
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return [each * step for each in range(first, last + 1)]


def curves(metrics: Sequence[Mapping[str, Any]], step: int | None) -> Html:
    """Returns the charts of a run's metrics; empty without any.

    Args:
      metrics: lines of metrics.jsonl.
      step: of the evaluated checkpoint, which is marked.
    """
    return Html("".join(_curves(metrics, step)))


def _curves(metrics: Sequence[Mapping[str, Any]], step: int | None) -> Iterator[str]:
    for title, labels in CURVES.items():
        series = {label: _points(metrics, name) for name, label in labels.items()}
        series = {label: points for label, points in series.items() if len(points)}
        if series:
            yield _line_chart(title, series, step)


def _points(metrics: Sequence[Mapping[str, Any]], name: str) -> np.ndarray:
    """Returns steps and values, [points, 2], as means of at most `MAX_POINTS` parts."""
    values = [(line["step"], line[name]) for line in metrics if name in line]
    points = np.array([each for each in values if math.isfinite(each[1])], np.float64)
    points = points.reshape(-1, 2)
    if len(points) <= MAX_POINTS:
        return points
    return np.array([part.mean(axis=0) for part in np.array_split(points, MAX_POINTS)])


def _line_chart(title: str, series: Mapping[str, np.ndarray], step: int | None) -> Html:
    everything = np.concatenate(list(series.values()))
    (first, lowest), (last, highest) = everything.min(axis=0), everything.max(axis=0)
    if step is not None:
        first, last = min(first, step), max(last, step)
    x = Scale(first, last, LEFT, WIDTH - RIGHT)
    lowest = min(lowest, 0.0) if title in ("Loss", "Learning rate") else lowest
    margin = 0.05 * (highest - lowest) or 0.5 * abs(highest) or 1.0
    y = Scale(lowest, highest + margin, HEIGHT - BOTTOM, TOP)
    marks = [_cursor(x, step)] if step is not None else []
    for number, points in enumerate(series.values()):
        pixels = [f"{x(at):.1f},{y(value):.1f}" for at, value in points]
        marks.append(f'<polyline class="line s{number}" points="{" ".join(pixels)}"/>')
        if len(points) < 30:
            marks += [
                f'<circle class="dot s{number}" cx="{x(at):.1f}" cy="{y(value):.1f}" r="2.5"/>'
                for at, value in points
            ]
    summary = "; ".join(
        f"{label} from {shown(points[0, 1])} at step {points[0, 0]:,.0f} to"
        f" {shown(points[-1, 1])} at step {points[-1, 0]:,.0f}"
        for label, points in series.items()
    )
    keys = [(f"s{n}", label) for n, label in enumerate(series)] if len(series) > 1 else []
    return _chart(title, f"{title}: {summary}", "".join(marks), x, y, "step", keys)


def _cursor(x: Scale, step: int) -> str:
    at = f"{x(step):.1f}"
    line = f'x1="{at}" x2="{at}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"'
    return f'<line class="cursor" {line}><title>this checkpoint</title></line>'


def _chart(
    title: str,
    summary: str,
    marks: str,
    x: Scale,
    y: Scale,
    unit: str,
    keys: Sequence[tuple[object, str]] = (),
    base: int = HEIGHT - BOTTOM,
) -> Html:
    """Returns axes with marks.

    Args:
      title: of the chart.
      summary: for those who do not see it.
      marks: SVG elements.
      x: horizontal scale.
      y: vertical scale.
      unit: of `x`.
      keys: style and label of each kind of mark, for the legend.
      base: pixel of the horizontal axis.
    """
    horizontal = [
        {"y": f"{y(tick):.1f}", "x1": LEFT, "x2": WIDTH - RIGHT, "text": shown(tick)}
        for tick in y.ticks()
    ]
    vertical = [{"x": f"{x(tick):.1f}", "y": base + 15, "text": shown(tick)} for tick in x.ticks()]
    return fill(
        "chart.html",
        title=title,
        summary=summary,
        height=base + BOTTOM,
        width=WIDTH,
        lines=fill_each("tick_y.html", horizontal),
        ticks=fill_each("tick_x.html", vertical),
        marks=Html(marks),
        unit=unit,
        unit_x=(LEFT + WIDTH - RIGHT) // 2,
        unit_y=base + BOTTOM - 2,
        legend=fill_each("key.html", ({"style": style, "label": label} for style, label in keys)),
    )


def reliability(result: Calibration) -> Html:
    """Returns the reliability diagram, with a histogram of the confidences below."""
    x, y = Scale(0, 1, LEFT, WIDTH - RIGHT), Scale(0, 1, TOP + _SIDE, TOP)
    base = TOP + _SIDE + _BETWEEN + _HISTOGRAM
    bins = "".join(
        _bin(result, each, x, y, base) for each in np.flatnonzero(result.counts).tolist()
    )
    ideal = f'<line class="ideal" x1="{x(0)}" y1="{y(0)}" x2="{x(1)}" y2="{y(1)}"/>'
    return _chart(
        "Accuracy by confidence",
        f"Reliability diagram, expected calibration error {result.error:.3f}",
        bins + ideal,
        x,
        y,
        "confidence; below, number of images",
        [("bar", "accuracy"), ("over", "overconfident"), ("under", "underconfident")],
        base,
    )


def _bin(result: Calibration, each: int, x: Scale, y: Scale, base: int) -> str:
    """Returns the bars of a bin."""
    accuracy, confidence = float(result.accuracy[each]), float(result.confidence[each])
    count, size = int(result.counts[each]), _HISTOGRAM * result.counts[each] / result.counts.max()
    difference = "over" if confidence > accuracy else "under"
    left, right = x(each / NUM_BINS) + 1, x((each + 1) / NUM_BINS) - 1
    bars = (
        ("bar", y(min(accuracy, confidence)), y(0)),
        (difference, y(max(accuracy, confidence)), y(min(accuracy, confidence))),
        ("bar", base - size, base),
    )
    rectangles = "".join(
        f'<rect class="{name}" x="{left:.1f}" y="{top:.1f}" width="{right - left:.1f}"'
        f' height="{bottom - top:.1f}"/>'
        for name, top, bottom in bars
    )
    text = f"{count:,} images, mean confidence {confidence:.3f}, accuracy {accuracy:.3f}"
    return f"<g><title>{text}</title>{rectangles}</g>"


def balance(support: np.ndarray, predicted: np.ndarray) -> Html:
    """Returns the sorted sizes of the classes and how often each is predicted."""
    order = np.argsort(-support, kind="stable")
    x = Scale(0.5, len(order) + 0.5, LEFT, WIDTH - RIGHT)
    y = Scale(0, max(1, support.max(), predicted.max()) * 1.05, HEIGHT - BOTTOM, TOP)
    width = (WIDTH - LEFT - RIGHT) / len(order)
    gap = 1 if width > 4 else 0
    corners = [f"{x(0.5):.1f},{y(0):.1f}"]
    for rank, each in enumerate(order):
        for side in (x(rank + 0.5), x(rank + 1.5) - gap):
            corners.append(f"{side:.1f},{y(support[each]):.1f}")
        if gap:
            corners += [f"{x(rank + 1.5) - gap:.1f},{y(0):.1f}", f"{x(rank + 1.5):.1f},{y(0):.1f}"]
    corners.append(f"{x(len(order) + 0.5):.1f},{y(0):.1f}")
    radius = min(3.0, max(1.0, width / 3))
    dots = [
        f'<circle class="dot s1" cx="{x(rank + 1):.1f}" cy="{y(predicted[each]):.1f}"'
        f' r="{radius:.1f}"/>'
        for rank, each in enumerate(order)
    ]
    marks = f'<polygon class="area" points="{" ".join(corners)}"/>' + "".join(dots)
    summary = (
        f"Images per class, sorted: the largest class has {support.max():,}, the smallest"
        f" {support.min():,}"
    )
    return _chart(
        "Images per class", summary, marks, x, y, "rank of the class",
        [("bar", "labels"), ("s1", "predictions")],
    )  # fmt: skip


def shown(value: float) -> str:
    """Returns a number as the label of an axis."""
    if value == 0:
        return "0"
    if abs(value) >= 10_000:
        return f"{value / 1e6:.3g}M" if abs(value) >= 1e6 else f"{value / 1e3:.4g}k"
    if abs(value) < 1e-3:
        return f"{value:.0e}".replace("e-0", "e-")
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"
