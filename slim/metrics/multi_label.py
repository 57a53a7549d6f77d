"""Metrics of examples with any number of classes each: average precision, and thresholds."""

import dataclasses
import math

import numpy as np

from slim.metrics.per_class import ClassScores, divide


@dataclasses.dataclass(frozen=True)
class LabelScores(ClassScores):
    """Counts and scores of each class, whose examples may have other classes as well.

    Attributes:
      average_precisions: of each class, see `average_precisions`, [classes].
      thresholds: score from which each class is predicted, [classes].
    """

    average_precisions: np.ndarray
    thresholds: np.ndarray

    def columns(self) -> dict[str, np.ndarray]:
        """Returns the scores by name."""
        further = {"average_precision": self.average_precisions, "threshold": self.thresholds}
        return super().columns() | further

    @property
    def micro_precision(self) -> float:
        """Fraction of correct ones among the predicted classes of all examples; NaN without any."""
        return _fraction(self.hits, self.predicted)

    @property
    def micro_recall(self) -> float:
        """Fraction of predicted ones among the classes of all examples; NaN without any."""
        return _fraction(self.hits, self.support)

    @property
    def micro_f1(self) -> float:
        """Harmonic mean of both; NaN without any class of an example or predicted one."""
        return _fraction(2 * self.hits, self.support + self.predicted)


def _fraction(counts: np.ndarray, totals: np.ndarray) -> float:
    return float(divide(counts.sum(keepdims=True), totals.sum(keepdims=True))[0])


def average_precisions(labels: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Returns the average precision of each class, float64 [classes]; NaN without examples.

    It is the mean precision at the scores of the class's examples, without interpolation, as of
    scikit-learn's `average_precision_score`; equal scores have one precision.

    Args:
      labels: whether each example has each class, bool [examples, classes].
      scores: the higher, the likelier the class, [examples, classes].
    """
    return np.array([_average_precision(*each) for each in zip(labels.T, scores.T, strict=True)])


def _average_precision(labels: np.ndarray, scores: np.ndarray) -> float:
    hits, counts, _ = _at_each_score(labels, scores)
    if not len(hits) or not hits[-1]:
        return math.nan
    return float(np.sum(np.diff(hits, prepend=0) / hits[-1] * (hits / counts)))


def best_thresholds(labels: np.ndarray, scores: np.ndarray, default: float) -> np.ndarray:
    """Returns the threshold of each class with the highest F1 score, float64 [classes].

    It is in the middle of two neighboring scores, so that it does not depend on rounding; below
    the lowest score, by 1. The highest of equally good ones.

    Args:
      labels: whether each example has each class, bool [examples, classes].
      scores: such as logits, [examples, classes].
      default: threshold of a class without examples.
    """
    return np.array(
        [_best_threshold(*each, default) for each in zip(labels.T, scores.T, strict=True)]
    )


def _best_threshold(labels: np.ndarray, scores: np.ndarray, default: float) -> float:
    hits, counts, values = _at_each_score(labels, scores)
    if not len(hits) or not hits[-1]:
        return default
    best = int(np.argmax(2 * hits / (counts + hits[-1])))
    lower = values[best + 1] if best + 1 < len(values) else values[best] - 2
    return float(values[best] + lower) / 2


def _at_each_score(
    labels: np.ndarray, scores: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns for each distinct score, the highest first: how many examples of the class have at
    least this score, how many examples have, and the score as float64."""
    order = np.argsort(-scores, kind="stable")
    values, hits = scores[order].astype(np.float64), np.cumsum(labels[order], dtype=np.int64)
    last = np.flatnonzero(np.append(np.diff(values) != 0, True)[: len(values)])
    return hits[last], last + 1, values[last]
