"""Metrics of a classifier over many batches.

A metric is an object with `update(...)` for a batch and `result()` at the end. Examples of weight
zero, such as the padding of the last batch, do not count.
"""

import numpy as np
import tensorflow as tf

from slim import _checks
from slim.metrics import moments, thresholds
from slim.metrics.counting import kappa


class Mean:
    """The weighted mean of numbers."""

    def __init__(self) -> None:
        self._sum = tf.Variable(0.0, dtype=tf.float64, trainable=False)
        self._weight = tf.Variable(0.0, dtype=tf.float64, trainable=False)

    @property
    def count(self) -> float:
        """The sum of the weights: the number of examples if all weights are one."""
        return float(self._weight.numpy())

    def update(self, values: tf.Tensor, weights: tf.Tensor | float = 1.0) -> None:
        """Adds a batch of numbers with weights that broadcast to them."""
        values = tf.cast(values, tf.float64)
        weights = tf.broadcast_to(tf.cast(weights, tf.float64), tf.shape(values))
        # Padding may hold anything, NaN included.
        values = tf.where(weights == 0, tf.zeros_like(values), values)
        self._sum.assign_add(tf.reduce_sum(values * weights))
        self._weight.assign_add(tf.reduce_sum(weights))

    def reset(self) -> None:
        """Resets the metric."""
        self._sum.assign(0.0)
        self._weight.assign(0.0)

    def result(self) -> float:
        """Returns the mean, or NaN without examples."""
        return float(self._sum.numpy()) / self.count if self.count else float("nan")


class Accuracy(Mean):
    """The fraction of examples whose class was predicted."""

    def update(
        self, predictions: tf.Tensor, labels: tf.Tensor, weights: tf.Tensor | float = 1.0
    ) -> None:
        """Adds a batch.

        Args:
          predictions: class indices, [batch].
          labels: class indices, [batch].
          weights: [batch] or a number.
        """
        correct = tf.equal(tf.cast(predictions, tf.int64), tf.cast(labels, tf.int64))
        super().update(correct, weights)


class RecallAtK(Mean):
    """The fraction of examples whose class is among the k highest scores.

    Args:
      k: at most the number of classes.

    Raises:
      UserError: if k is not positive.
    """

    def __init__(self, k: int) -> None:
        _checks.positive(k=k)
        super().__init__()
        self.k = k

    def update(
        self, scores: tf.Tensor, labels: tf.Tensor, weights: tf.Tensor | float = 1.0
    ) -> None:
        """Adds a batch.

        Args:
          scores: [batch, classes].
          labels: class indices, [batch].
          weights: [batch] or a number.
        """
        super().update(in_top_k(scores, labels, self.k), weights)


def in_top_k(scores: tf.Tensor, labels: tf.Tensor, k: int) -> tf.Tensor:
    """Returns whether each label is among the k highest scores, [batch] bool.

    Unlike with `tf.math.in_top_k`, ties go to the lower class index, as in argmax, so that equal
    scores for all classes earn no credit.
    """
    _, best = tf.math.top_k(scores, k=min(k, scores.shape[-1]))
    return tf.reduce_any(tf.equal(best, tf.cast(labels, best.dtype)[:, tf.newaxis]), axis=-1)


class ConfusionMatrix:
    """Counts of examples by true and predicted class.

    Args:
      num_classes: number of classes.
    """

    def __init__(self, num_classes: int) -> None:
        _checks.positive(num_classes=num_classes)
        self._counts = tf.Variable(tf.zeros([num_classes] * 2, tf.int64), trainable=False)

    def update(
        self, predictions: tf.Tensor, labels: tf.Tensor, weights: tf.Tensor | float = 1.0
    ) -> None:
        """Adds a batch of class indices, [batch], counting those with a nonzero weight."""
        counted = tf.broadcast_to(tf.cast(weights, tf.bool), tf.shape(labels))
        self._counts.assign_add(
            tf.math.confusion_matrix(
                tf.boolean_mask(labels, counted),
                tf.boolean_mask(predictions, counted),
                num_classes=self._counts.shape[0],
                dtype=tf.int64,
            )
        )

    def reset(self) -> None:
        """Resets the metric."""
        self._counts.assign(tf.zeros_like(self._counts))

    def result(self) -> np.ndarray:
        """Returns the counts, [true class, predicted class]."""
        return self._counts.numpy()

    def recalls(self) -> np.ndarray:
        """Returns the recall of each class, [classes]; NaN for a class without examples."""
        counts = self.result()
        totals = counts.sum(axis=1)
        hits = np.diag(counts).astype(np.float64)
        return np.divide(hits, totals, out=np.full(len(totals), np.nan), where=totals > 0)


class CohenKappa(ConfusionMatrix):
    """Cohen's kappa: the agreement of predicted and true classes beyond that of chance.

    Args:
      num_classes: number of classes.
    """

    def __init__(self, num_classes: int) -> None:
        super().__init__(num_classes)
        self._counts = tf.Variable(tf.zeros([num_classes] * 2, tf.float64), trainable=False)

    def update(
        self, predictions: tf.Tensor, labels: tf.Tensor, weights: tf.Tensor | float = 1.0
    ) -> None:
        """Adds a batch of class indices, [batch], with weights that broadcast to them."""
        weights = tf.broadcast_to(tf.cast(weights, tf.float64), tf.shape(labels))
        self._counts.assign_add(
            tf.math.confusion_matrix(
                labels, predictions, self._counts.shape[0], weights, dtype=tf.float64
            )
        )

    def result(self) -> float:
        """Returns kappa; 0 without examples."""
        counts = self._counts
        rows, columns = (tf.reduce_sum(counts, axis) for axis in (0, 1))
        return float(kappa(tf.linalg.diag_part(counts), rows, columns))


class F1Score:
    """The highest F1 score of all thresholds.

    Args:
      num_thresholds: number of evenly spaced thresholds.
    """

    def __init__(self, num_thresholds: int = 200) -> None:
        _checks.positive(num_thresholds=num_thresholds)
        self._thresholds = thresholds.evenly_spaced(num_thresholds)
        self._counts = tf.Variable(tf.zeros([3, num_thresholds], tf.float64), trainable=False)

    def update(
        self, predictions: tf.Tensor, labels: tf.Tensor, weights: tf.Tensor | float = 1.0
    ) -> None:
        """Adds a batch.

        Args:
          predictions: scores in [0, 1].
          labels: 0 or 1, in the shape of the predictions.
          weights: a number, or a tensor that broadcasts to the labels.
        """
        counts = thresholds.counts(predictions, labels, self._thresholds, weights)
        batch = tf.stack([counts[kind] for kind in ("tp", "fp", "fn")])
        self._counts.assign_add(tf.cast(batch, tf.float64))

    def reset(self) -> None:
        """Resets the metric."""
        self._counts.assign(tf.zeros_like(self._counts))

    def result(self) -> float:
        """Returns the score; 0 without true positives."""
        return float(thresholds.best_f1(*tf.unstack(self._counts)))


class PearsonCorrelation:
    """The correlation coefficient of predictions and labels."""

    def __init__(self) -> None:
        # Of predictions and labels, and of each with itself.
        self._moments = tf.Variable(tf.zeros([4, 3], tf.float64), trainable=False)

    def update(
        self, predictions: tf.Tensor, labels: tf.Tensor, weights: tf.Tensor | float = 1.0
    ) -> None:
        """Adds a batch of numbers of the same shape with weights that broadcast to them."""
        x, y = tf.cast(predictions, tf.float64), tf.cast(labels, tf.float64)
        weights = tf.broadcast_to(tf.cast(weights, tf.float64), tf.shape(y))
        x, y = (tf.where(weights == 0, tf.zeros_like(each), each) for each in (x, y))
        parts = [moments.moments(*pair, weights) for pair in ((x, y), (x, x), (y, y))]
        batch = moments.Moments(*(tf.stack(each) for each in zip(*parts, strict=True)))
        kept = moments.Moments(*tf.unstack(self._moments))
        self._moments.assign(tf.stack(moments.merged(kept, batch)))

    def reset(self) -> None:
        """Resets the metric."""
        self._moments.assign(tf.zeros_like(self._moments))

    def result(self) -> float:
        """Returns the coefficient; NaN if a variance is 0 or unknown."""
        both, first, second = moments.Moments(*tf.unstack(self._moments)).covariance().numpy()
        return float(both / np.sqrt(first * second)) if first * second > 0 else float("nan")
