"""Metrics of a classifier over many batches.

A metric is an object with `update(...)` for a batch and `result()` at the end. Examples of weight
zero, such as the padding of the last batch, do not count.
"""

import numpy as np
import tensorflow as tf

from slim import _checks


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

    def update(self, predictions: tf.Tensor, labels: tf.Tensor, weights: tf.Tensor) -> None:
        """Adds a batch of class indices, [batch], counting those with a nonzero weight."""
        counted = tf.cast(weights, tf.bool)
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
