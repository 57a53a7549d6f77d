"""Metrics by class in memory that grows with the classes and the confused pairs, and calibration.

A dense confusion matrix of 100,000 classes takes 80 GB; see `SparseConfusionMatrix`.
"""

import dataclasses
import math
import statistics

import numpy as np
import tensorflow as tf

from slim import _checks


@dataclasses.dataclass(frozen=True)
class ClassScores:
    """Counts of examples by class, and the scores that follow from them.

    Attributes:
      support: number of examples of each class, int64 [classes].
      predicted: number of examples for which each class was predicted, int64 [classes].
      hits: number of correctly predicted examples of each class, int64 [classes].
    """

    support: np.ndarray
    predicted: np.ndarray
    hits: np.ndarray

    @property
    def recalls(self) -> np.ndarray:
        """Fraction of each class's examples for which it was predicted; NaN without examples."""
        return divide(self.hits, self.support)

    @property
    def precisions(self) -> np.ndarray:
        """Fraction of correct examples among those predicted as each class; NaN if never."""
        return divide(self.hits, self.predicted)

    @property
    def f1_scores(self) -> np.ndarray:
        """Harmonic mean of precision and recall; NaN for a class that does not occur at all."""
        return divide(2 * self.hits, self.support + self.predicted)

    def columns(self) -> dict[str, np.ndarray]:
        """Returns the scores by name."""
        return {"precision": self.precisions, "recall": self.recalls, "f1": self.f1_scores}

    def macro(self, scores: np.ndarray) -> float:
        """Returns the mean of scores over the classes with examples; NaN without any.

        A class with examples that was never predicted counts with precision 0.
        """
        return self._average(scores, self.support > 0)

    def weighted(self, scores: np.ndarray) -> float:
        """Returns the mean of scores weighted by the classes' numbers of examples; see `macro`."""
        return self._average(scores, self.support)

    def _average(self, scores: np.ndarray, weights: np.ndarray) -> float:
        present = self.support > 0
        if not present.any():
            return math.nan
        return float(np.average(np.nan_to_num(scores[present]), weights=weights[present]))


def divide(counts: np.ndarray, totals: np.ndarray) -> np.ndarray:
    """Returns the quotients; NaN where the total is 0."""
    return np.divide(counts, totals, out=np.full(len(totals), np.nan), where=totals > 0)


class SparseConfusionMatrix:
    """Counts of examples by true and predicted class; only pairs that occur take memory.

    Args:
      num_classes: number of classes.
    """

    def __init__(self, num_classes: int) -> None:
        _checks.positive(num_classes=num_classes)
        self.num_classes = num_classes
        # From label * num_classes + prediction.
        self._counts = tf.lookup.experimental.MutableHashTable(tf.int64, tf.int64, 0)

    def update(
        self, predictions: tf.Tensor, labels: tf.Tensor, weights: tf.Tensor | float = 1.0
    ) -> None:
        """Adds a batch of class indices, [batch], counting those with a nonzero weight."""
        labels, predictions = (tf.cast(each, tf.int64) for each in (labels, predictions))
        counted = tf.broadcast_to(tf.cast(weights, tf.bool), tf.shape(labels))
        pairs = tf.boolean_mask(labels * self.num_classes + predictions, counted)
        pairs, _, counts = tf.unique_with_counts(pairs, out_idx=tf.int64)
        self._counts.insert(pairs, self._counts.lookup(pairs) + counts)

    def reset(self) -> None:
        """Resets the metric."""
        self._counts.remove(self._counts.export()[0])

    def result(self) -> tuple[np.ndarray, np.ndarray]:
        """Returns the pairs (true class, predicted class) that occur, int64 [pairs, 2], in
        ascending order, and their counts, int64 [pairs]."""
        keys, counts = (each.numpy() for each in self._counts.export())
        order = np.argsort(keys)
        pairs = np.stack(np.divmod(keys[order], self.num_classes), axis=-1)
        return pairs, counts[order]

    def confusions(self) -> list[tuple[int, int, int]]:
        """Returns true class, predicted class and number of examples for each pair of different
        classes, the most frequent first."""
        pairs, counts = self.result()
        rows = [(*pair, count) for pair, count in zip(pairs.tolist(), counts.tolist(), strict=True)]
        return sorted((row for row in rows if row[0] != row[1]), key=lambda row: -row[2])

    def class_scores(self) -> ClassScores:
        """Returns the counts and scores of each class."""
        (labels, predictions), counts = self.result()[0].T, self.result()[1]

        def total(classes: np.ndarray, numbers: np.ndarray) -> np.ndarray:
            # Exact: float64 holds every integer up to 2^53.
            return np.bincount(classes, numbers, self.num_classes).astype(np.int64)

        is_hit = labels == predictions
        return ClassScores(
            support=total(labels, counts),
            predicted=total(predictions, counts),
            hits=total(labels[is_hit], counts[is_hit]),
        )


class CalibrationError:
    """The expected calibration error: the mean distance of confidence and accuracy over bins of
    equal width, weighted by their examples.

    (Guo et al., "On Calibration of Modern Neural Networks", 2017, equation 3; arXiv:1706.04599.)

    Args:
      num_bins: number of bins; a bin includes its upper limit.
    """

    def __init__(self, num_bins: int = 15) -> None:
        _checks.positive(num_bins=num_bins)
        self.num_bins = num_bins
        # Examples, their confidences and their hits, in each bin.
        self._sums = tf.Variable(tf.zeros([3, num_bins], tf.float64), trainable=False)

    def update(
        self, confidences: tf.Tensor, correct: tf.Tensor, weights: tf.Tensor | float = 1.0
    ) -> None:
        """Adds a batch.

        Args:
          confidences: probability of the predicted class, [batch].
          correct: whether it is the true class, [batch].
          weights: [batch] or a number.
        """
        confidences, correct = (tf.cast(each, tf.float64) for each in (confidences, correct))
        weights = tf.broadcast_to(tf.cast(weights, tf.float64), tf.shape(confidences))
        # Padding may hold anything, NaN included.
        confidences = tf.where(weights == 0, tf.ones_like(confidences), confidences)
        last = self.num_bins - 1
        bins = tf.cast(tf.math.ceil(confidences * self.num_bins), tf.int32) - 1
        rows = tf.stack([weights, weights * confidences, weights * correct], axis=-1)
        totals = tf.math.unsorted_segment_sum(rows, tf.clip_by_value(bins, 0, last), self.num_bins)
        self._sums.assign_add(tf.transpose(totals))

    def reset(self) -> None:
        """Resets the metric."""
        self._sums.assign(tf.zeros_like(self._sums))

    def bins(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Returns for each bin, float64 [num_bins]: the sum of the weights, the mean confidence
        and the accuracy; the last two are NaN for an empty bin."""
        counts, confidences, hits = self._sums.numpy()
        return counts, divide(confidences, counts), divide(hits, counts)

    def result(self) -> float:
        """Returns the error; NaN without examples."""
        counts, confidences, hits = self._sums.numpy()
        return float(np.abs(confidences - hits).sum() / counts.sum()) if counts.any() else math.nan


def wilson_interval(fraction: float, count: float, confidence: float = 0.95) -> tuple[float, float]:
    """Returns the Wilson score interval of a fraction of independent examples.

    (Wilson, "Probable Inference, the Law of Succession, and Statistical Inference", 1927.)

    Args:
      fraction: of the examples, such as an accuracy.
      count: number of examples.
      confidence: probability that the interval covers the true fraction.

    Returns:
      The lower and the upper end; NaN without examples.
    """
    if not count:
        return math.nan, math.nan
    z = statistics.NormalDist().inv_cdf((1 + confidence) / 2)
    square = z * z / count
    center = fraction + square / 2
    half = z * math.sqrt(fraction * (1 - fraction) / count + square / (4 * count))
    low, high = ((center + sign * half) / (1 + square) for sign in (-1, 1))
    # Rounding would exclude the ends themselves.
    return (low if fraction > 0 else 0.0), (high if fraction < 1 else 1.0)
