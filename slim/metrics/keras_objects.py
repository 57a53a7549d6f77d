"""Metrics of `tf.keras.metrics` with the interface of this package's objects.

They add `weights` and skip elements of weight zero, whatever their values. The one of the same name
in Keras does the work.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf


class _OfKeras:
    """A metric of predictions and labels, elementwise.

    Args:
      *arguments: those of the Keras metric of the class's name.
      **options: likewise.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        name = next(each.__name__ for each in type(self).__mro__ if each.__module__ == __name__)
        self._metric = getattr(tf.keras.metrics, name)(*arguments, **options)

    def update(
        self, predictions: tf.Tensor, labels: tf.Tensor, weights: tf.Tensor | float = 1.0
    ) -> None:
        """Adds a batch.

        Args:
          predictions: scores in [0, 1], class indices or numbers, in the shape of the labels.
          labels: 0 or 1, class indices or numbers.
          weights: a number, or a tensor that broadcasts to the labels.
        """
        predictions, labels = tf.convert_to_tensor(predictions), tf.convert_to_tensor(labels)
        predictions.shape.assert_is_compatible_with(labels.shape)
        weights = tf.broadcast_to(tf.cast(weights, tf.float32), tf.shape(labels))
        columns = (
            tf.boolean_mask(each, weights != 0)[:, tf.newaxis]
            for each in (labels, predictions, weights)
        )
        self._metric.update_state(*columns)

    def reset(self) -> None:
        """Resets the metric."""
        self._metric.reset_state()

    def result(self) -> float | np.ndarray:
        """Returns the value of all batches: a float, or [thresholds] if thresholds were given."""
        result = np.asarray(self._metric.result())
        return float(result) if result.ndim == 0 else result


class _AtThresholds(_OfKeras):
    """A metric of scores above a threshold.

    Args:
      thresholds: a number or a list of numbers in [0, 1]; default 0.5.
    """

    def __init__(self, thresholds: float | Sequence[float] | None = None) -> None:
        super().__init__(thresholds)


class TruePositives(_AtThresholds):
    """The weight of the true examples above the threshold."""


class TrueNegatives(_AtThresholds):
    """The weight of the false examples at or below the threshold."""


class FalsePositives(_AtThresholds):
    """The weight of the false examples above the threshold."""


class FalseNegatives(_AtThresholds):
    """The weight of the true examples at or below the threshold."""


class Precision(_AtThresholds):
    """The fraction of the examples above the threshold that are true."""


class Recall(_AtThresholds):
    """The fraction of the true examples that are above the threshold."""


class AUC(_OfKeras):
    """The approximate area under a curve.

    Args:
      num_thresholds: number of evenly spaced thresholds.
      curve: "ROC" or "PR" (precision over recall).
    """

    def __init__(self, num_thresholds: int = 200, curve: str = "ROC") -> None:
        super().__init__(num_thresholds, curve)


class _AtTarget(_OfKeras):
    """One rate where another reaches a target.

    Args:
      target: the rate after "At" in the name, in [0, 1].
      num_thresholds: number of evenly spaced thresholds.
    """

    def __init__(self, target: float, num_thresholds: int = 200) -> None:
        super().__init__(target, num_thresholds)


class SensitivityAtSpecificity(_AtTarget):
    """The highest sensitivity with at least the target specificity."""


class SpecificityAtSensitivity(_AtTarget):
    """The highest specificity with at least the target sensitivity."""


class PrecisionAtRecall(_AtTarget):
    """The highest precision with at least the target recall."""


class RecallAtPrecision(_AtTarget):
    """The highest recall with at least the target precision."""


class MeanIoU(_OfKeras):
    """The mean over classes of intersection over union of predicted and true elements.

    Args:
      num_classes: number of classes.
    """

    def __init__(self, num_classes: int) -> None:
        super().__init__(num_classes, dtype="float32")


class MeanAbsoluteError(_OfKeras):
    """The mean absolute difference of predictions and labels."""


class MeanSquaredError(_OfKeras):
    """The mean squared difference of predictions and labels."""


class RootMeanSquaredError(_OfKeras):
    """The root of the mean squared difference of predictions and labels."""
