"""Images to check: mistakes, likely label errors and near-duplicates."""

from typing import NamedTuple

import numpy as np

from classifier.inference.dataset_features import unit_rows
from classifier.inference.outcomes import LabelOutcomes, Outcomes

MIN_SIMILARITY = 0.95
_BLOCK = 1024  # images compared at once


def confident_mistakes(outcomes: Outcomes, number: int) -> np.ndarray:
    """Returns the indices of the wrong answers, the most confident first."""
    wrong = np.flatnonzero(~outcomes.is_correct)
    return wrong[np.argsort(-outcomes.confidences[wrong], kind="stable")][:number]


def doubtful_hits(outcomes: Outcomes, number: int) -> np.ndarray:
    """Returns the indices of the correct answers, the least confident first."""
    right = np.flatnonzero(outcomes.is_correct)
    return right[np.argsort(outcomes.confidences[right], kind="stable")][:number]


def label_errors(outcomes: Outcomes, num_classes: int) -> np.ndarray:
    """Returns the indices of images whose label is likely wrong, the likeliest first.

    The model must predict another class, and be more confident in it than on average in that
    class's own images. They are ranked by the distance of the two probabilities.

    Source: Northcutt et al., Confident Learning: Estimating Uncertainty in Dataset Labels, 2021,
    whose threshold this is. A class without images has none; a mistake as it is not reported.
    """
    support = np.bincount(outcomes.labels, minlength=num_classes)
    with np.errstate(invalid="ignore"):
        thresholds = (
            np.bincount(outcomes.labels, outcomes.label_probabilities, num_classes) / support
        )
    is_likely = ~outcomes.is_correct & (outcomes.confidences >= thresholds[outcomes.predicted])
    likely = np.flatnonzero(is_likely)
    margins = outcomes.confidences[likely] - outcomes.label_probabilities[likely]
    return likely[np.argsort(-margins, kind="stable")]


def several_label_errors(outcomes: LabelOutcomes) -> np.ndarray:
    """Returns the same with several classes an image.

    For at least one class, the label is absent and the model predicts it, or reversed, and the
    model is at least as sure of it as on average in the images whose label agrees. Images are
    ranked by the distance of probability and label.
    """
    labels, values = outcomes.labels, outcomes.probabilities
    opposite = np.where(labels, 1 - values, values)  # how sure the model is that the label is wrong
    with np.errstate(invalid="ignore"):
        present = np.where(labels, values, 0).sum(axis=0) / labels.sum(axis=0)
        absent = np.where(labels, 0, 1 - values).sum(axis=0) / (~labels).sum(axis=0)
    thresholds = np.where(labels, absent, present)
    is_likely = (outcomes.predicted != labels) & (opposite >= thresholds)
    worst = np.where(is_likely, opposite, 0).max(axis=1)
    likely = np.flatnonzero(is_likely.any(axis=1))
    return likely[np.argsort(-worst[likely], kind="stable")]


class Duplicates(NamedTuple):
    """Pairs of similar images, the most similar first.

    Attributes:
      images: index of each pair's image in the split.
      others: index of its nearest image in the other split.
      similarities: cosine of the angle between both features.
    """

    images: np.ndarray
    others: np.ndarray
    similarities: np.ndarray


def near_duplicates(
    features: np.ndarray, others: np.ndarray, min_similarity: float = MIN_SIMILARITY
) -> Duplicates:
    """Returns the images whose nearest image of another split is very similar.

    The features are centered first: after a ReLU, all of them point in a similar direction.

    Args:
      features: [images, channels].
      others: of the other split, [images, channels].
      min_similarity: of a pair.
    """
    if not len(features) or not len(others):
        return Duplicates(np.zeros(0, int), np.zeros(0, int), np.zeros(0, np.float32))
    mean = others.mean(axis=0, dtype=np.float64).astype(np.float32)
    ours, theirs = unit_rows(features - mean), unit_rows(others - mean)
    nearest = np.zeros(len(ours), int)
    similarities = np.full(len(ours), -np.inf, np.float32)
    for begin in range(0, len(ours), _BLOCK):
        rows = slice(begin, begin + _BLOCK)
        for first in range(0, len(theirs), 16 * _BLOCK):
            cosines = ours[rows] @ theirs[first : first + 16 * _BLOCK].T
            best = cosines.argmax(axis=1)
            values = cosines[np.arange(len(best)), best]
            is_better = values > similarities[rows]
            nearest[rows] = np.where(is_better, best + first, nearest[rows])
            similarities[rows] = np.where(is_better, values, similarities[rows])
    pairs = np.flatnonzero(similarities >= min_similarity)
    pairs = pairs[np.argsort(-similarities[pairs], kind="stable")]
    return Duplicates(pairs, nearest[pairs], np.minimum(similarities[pairs], 1))
