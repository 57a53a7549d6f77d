"""Scores of an evaluation's outcomes."""

import dataclasses

import numpy as np
import tensorflow as tf

from classifier.inference.outcomes import Outcomes
from slim import metrics

NUM_BINS = 15


def confusion_matrix(outcomes: Outcomes, num_classes: int) -> metrics.SparseConfusionMatrix:
    """Returns the counts of labels and predictions."""
    matrix = metrics.SparseConfusionMatrix(num_classes)
    matrix.update(tf.constant(outcomes.predicted), tf.constant(outcomes.labels))
    return matrix


@dataclasses.dataclass(frozen=True)
class Calibration:
    """How well confidences match accuracy, in `NUM_BINS` bins of equal width.

    Attributes:
      counts: number of images per bin.
      confidence: mean confidence per bin; NaN without images.
      accuracy: accuracy per bin; NaN without images.
      error: expected calibration error.
    """

    counts: np.ndarray
    confidence: np.ndarray
    accuracy: np.ndarray
    error: float


def calibration(outcomes: Outcomes) -> Calibration:
    """Returns the calibration of the most probable classes."""
    return calibration_of(outcomes.confidences, outcomes.is_correct)


def calibration_of(confidences: np.ndarray, is_correct: np.ndarray) -> Calibration:
    """Returns the calibration of answers, [answers]."""
    metric = metrics.CalibrationError(NUM_BINS)
    metric.update(tf.constant(confidences), tf.constant(is_correct))
    counts, confidence, accuracy = metric.bins()
    return Calibration(counts.astype(np.int64), confidence, accuracy, metric.result())
