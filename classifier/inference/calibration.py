"""Calibration of a model's probabilities on a split: a temperature and thresholds."""

import dataclasses
import math

import numpy as np
import tensorflow as tf

from classifier.checkpoints.sources import OpenedCheckpoint
from classifier.config import problems
from classifier.config.problems import named
from classifier.inference import evaluation_files
from classifier.inference.outcomes import Outcomes
from classifier.label_kinds import ONE_CLASS, LabelKind
from classifier.model_info import Calibration
from slim import _checks

# Inverse temperatures; between two of them, the derivative of the loss is almost linear.
_INVERSES = np.geomspace(1 / 20, 20, 121)
# Fraction of the correct answers that the threshold may reject.
_REJECTED = 0.05


class TemperatureFit:
    """Fits the temperature with the lowest cross entropy, a metric of logits.

    (Guo et al., "On Calibration of Modern Neural Networks", 2017, section 4.2; arXiv:1706.04599.)
    The cross entropy is convex in the inverse temperature, so the zero of its derivative is the
    minimum. The derivative is summed on a grid: the logits are not kept.

    Args:
      kind: of the labels.
    """

    def __init__(self, kind: LabelKind = ONE_CLASS) -> None:
        self._kind = kind
        self._derivatives = tf.Variable(tf.zeros([len(_INVERSES)], tf.float64), trainable=False)

    def update(self, logits: tf.Tensor, labels: tf.Tensor, weights: tf.Tensor) -> None:
        """Adds a batch.

        Args:
          logits: [batch, classes].
          labels: as in the batches of `inputs`.
          weights: [batch]; rows of weight 0 do not count.
        """
        counted = tf.cast(weights, tf.bool)
        logits, labels = tf.boolean_mask(logits, counted), tf.boolean_mask(labels, counted)

        def derivative(inverse: tf.Tensor) -> tf.Tensor:
            slopes = self._kind.loss_slope(logits, labels, inverse)
            return tf.reduce_sum(tf.cast(slopes, tf.float64))

        inverses = tf.constant(_INVERSES, tf.float32)
        spec = tf.TensorSpec([], tf.float64)
        self._derivatives.assign_add(tf.map_fn(derivative, inverses, fn_output_signature=spec))

    def result(self) -> float:
        """Returns the temperature.

        Raises:
          RunError: if there is no minimum, as with correct answers only.
        """
        values = self._derivatives.numpy()
        if not values[0] < 0 < values[-1]:
            what = "correct" if values[0] < 0 else "no better than chance"
            raise _checks.RunError(
                f"no temperature fits: the answers are {what}. Calibrate on a split that was not"
                " used in training, with correct and wrong answers"
            )
        after = int(np.argmax(values > 0))
        (low, high), (left, right) = (
            np.log(_INVERSES[after - 1 : after + 1]),
            values[after - 1 :][:2],
        )
        return math.exp(-(low + (high - low) * left / (left - right)))


def rejection_threshold(outcomes: Outcomes) -> float:
    """Returns the probability that 95 % of the correct answers reach; 0 without correct answers.

    Images of no class have lower probabilities than correct answers (Hendrycks and Gimpel, "A
    Baseline for Detecting Misclassified and Out-of-Distribution Examples", 2017; arXiv:1610.02136).
    """
    confidences = outcomes.confidences[outcomes.is_correct]
    if not confidences.size:
        return 0.0
    return float(np.quantile(confidences, _REJECTED, method="lower"))


def check(checkpoint: OpenedCheckpoint) -> None:
    """Checks that a calibration can be stored.

    Raises:
      UserError: if there is no model_info.json, or its directory is read-only.
    """
    option = named("calibrate")
    if checkpoint.info is None:
        raise problems.error("{} stores its result in model_info.json, which is missing", option)
    if not evaluation_files.is_writable(checkpoint.run.path):
        raise problems.error(
            "{} stores its result in {}, which is read-only", option, checkpoint.run.path
        )


def store(checkpoint: OpenedCheckpoint, calibration: Calibration) -> None:
    """Adds a calibration to model_info.json, in place of an earlier one."""
    assert checkpoint.info is not None, "see `check`"
    info = dataclasses.replace(checkpoint.info, calibration=calibration)
    checkpoint.run.write_model_info(info)
