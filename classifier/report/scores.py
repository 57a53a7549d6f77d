"""Scores of an evaluation's outcomes."""

import dataclasses
import math
import statistics

import numpy as np

from classifier.inference.outcomes import Outcomes

NUM_BINS = 15


def wilson_interval(fraction: float, count: int) -> tuple[float, float]:
    """Returns the 95% confidence interval of a fraction of independent examples.

    Source: E. B. Wilson, Probable Inference, the Law of Succession, and Statistical Inference,
    1927. Unlike the normal approximation, it is within 0 and 1, and has a width at both ends.
    """
    z = statistics.NormalDist().inv_cdf(0.975)
    square = z * z / count
    center = fraction + square / 2
    half = z * math.sqrt(fraction * (1 - fraction) / count + square / (4 * count))
    low, high = ((center + sign * half) / (1 + square) for sign in (-1, 1))
    # Rounding would exclude the ends themselves.
    return (low if fraction > 0 else 0.0), (high if fraction < 1 else 1.0)


@dataclasses.dataclass(frozen=True)
class ClassScores:
    """Scores per class; NaN where a score is not defined.

    Attributes:
      support: number of images of each class.
      predicted: number of images for which each class was predicted.
      hits: number of correctly predicted images of each class.
    """

    support: np.ndarray
    predicted: np.ndarray
    hits: np.ndarray

    @property
    def precisions(self) -> np.ndarray:
        """Fraction of correct images among those predicted as each class; NaN if never."""
        return _divide(self.hits, self.predicted)

    @property
    def recalls(self) -> np.ndarray:
        """Fraction of each class's images for which it was predicted; NaN without images."""
        return _divide(self.hits, self.support)

    @property
    def f1_scores(self) -> np.ndarray:
        """Harmonic mean of precision and recall; NaN for a class that does not occur at all."""
        return _divide(2 * self.hits, self.support + self.predicted)

    def macro(self, scores: np.ndarray) -> float:
        """Returns the mean of scores over the classes with images; an undefined one counts 0."""
        return float(np.nan_to_num(scores[self.support > 0]).mean())


def class_scores(outcomes: Outcomes, num_classes: int) -> ClassScores:
    """Returns the scores of each class."""
    return ClassScores(
        support=np.bincount(outcomes.labels, minlength=num_classes),
        predicted=np.bincount(outcomes.predicted, minlength=num_classes),
        hits=np.bincount(outcomes.labels[outcomes.is_correct], minlength=num_classes),
    )


@dataclasses.dataclass(frozen=True)
class Calibration:
    """How well confidences match accuracy, in bins of equal width.

    Attributes:
      counts: number of images per bin, [NUM_BINS].
      confidence: mean confidence per bin; NaN without images.
      accuracy: accuracy per bin; NaN without images.
    """

    counts: np.ndarray
    confidence: np.ndarray
    accuracy: np.ndarray

    @property
    def error(self) -> float:
        """Expected calibration error: mean distance of confidence and accuracy over the images."""
        distances = np.nan_to_num(np.abs(self.accuracy - self.confidence))
        return float(distances @ self.counts / self.counts.sum())


def calibration(outcomes: Outcomes) -> Calibration:
    """Returns the calibration of the most probable classes.

    Source: Guo et al., On Calibration of Modern Neural Networks, 2017, equation 3. A bin includes
    its upper limit.
    """
    confidences = outcomes.confidences.astype(np.float64)
    bins = np.clip(np.ceil(confidences * NUM_BINS).astype(int) - 1, 0, NUM_BINS - 1)
    counts = np.bincount(bins, minlength=NUM_BINS)
    return Calibration(
        counts,
        _divide(np.bincount(bins, confidences, NUM_BINS), counts),
        _divide(np.bincount(bins, outcomes.is_correct, NUM_BINS), counts),
    )


def _divide(counts: np.ndarray, totals: np.ndarray) -> np.ndarray:
    scores = np.full(len(totals), np.nan)
    np.divide(counts, totals, out=scores, where=totals > 0)
    return scores
