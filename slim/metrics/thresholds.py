"""Metrics of scores in [0, 1] that are cut at one or many thresholds."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from slim.metrics._streams import (
    EPSILON,
    Stream,
    aligned,
    broadcast,
    in_unit_interval,
    local_variable,
    stream,
)

Counts = dict[str, tf.Tensor]
_NAMES = {
    "tp": "true_positives",
    "fn": "false_negatives",
    "tn": "true_negatives",
    "fp": "false_positives",
}


def evenly_spaced(num_thresholds: int) -> list[float]:
    """Returns thresholds from 0 to 1, the first and the last just outside."""
    inner = [i / (num_thresholds - 1) for i in range(1, num_thresholds - 1)]
    return [-EPSILON, *inner, 1 + EPSILON]


def counts(
    predictions: Any, labels: Any, thresholds: Sequence[float], weights: Any = None
) -> Counts:
    """Returns the weights of true and false positives and negatives, each [thresholds]."""
    predictions, labels, weights = aligned(predictions, labels, weights)
    if weights is not None:
        weights = tf.reshape(broadcast(weights, predictions), [1, -1])
    scores = tf.reshape(tf.cast(predictions, tf.float32), [1, -1])
    positive = scores > tf.constant(thresholds, tf.float32)[:, tf.newaxis]
    true = tf.reshape(tf.cast(labels, tf.bool), [1, -1])
    masks = {
        "tp": positive & true,
        "fn": ~positive & true,
        "tn": ~positive & ~true,
        "fp": positive & ~true,
    }
    ones = {kind: tf.cast(each, tf.float32) for kind, each in masks.items()}
    return {
        kind: tf.reduce_sum(each if weights is None else each * weights, 1)
        for kind, each in ones.items()
    }


def _streaming_counts(
    predictions: Any,
    labels: Any,
    thresholds: Sequence[float],
    weights: Any = None,
    kinds: Sequence[str] = tuple(_NAMES),
) -> tuple[Counts, Counts]:
    """Returns the counts of all batches so far, and those after adding this batch."""
    batch = counts(predictions, labels, thresholds, weights)
    variables = {kind: local_variable(_NAMES[kind], [len(thresholds)]) for kind in kinds}
    updates = {kind: each.assign_add(batch[kind]) for kind, each in variables.items()}
    return {kind: tf.identity(each) for kind, each in variables.items()}, updates


def _one_count(kind: str, *arguments: Any) -> Stream:
    values, updates = _streaming_counts(*arguments, kinds=[kind])
    return values[kind], updates[kind]


@stream(None, eager="TruePositives(thresholds=...)")
def streaming_true_positives_at_thresholds(predictions, labels, thresholds, weights=None) -> Stream:
    """The weight of the true examples above each threshold."""
    return _one_count("tp", predictions, labels, thresholds, weights)


@stream(None, eager="FalseNegatives(thresholds=...)")
def streaming_false_negatives_at_thresholds(
    predictions, labels, thresholds, weights=None
) -> Stream:
    """The weight of the true examples at or below each threshold."""
    return _one_count("fn", predictions, labels, thresholds, weights)


@stream(None, eager="FalsePositives(thresholds=...)")
def streaming_false_positives_at_thresholds(
    predictions, labels, thresholds, weights=None
) -> Stream:
    """The weight of the false examples above each threshold."""
    return _one_count("fp", predictions, labels, thresholds, weights)


@stream(None, eager="TrueNegatives(thresholds=...)")
def streaming_true_negatives_at_thresholds(predictions, labels, thresholds, weights=None) -> Stream:
    """The weight of the false examples at or below each threshold."""
    return _one_count("tn", predictions, labels, thresholds, weights)


@stream(
    "false_positive_rate_at_thresholds",
    eager="FalsePositives(thresholds=...) and TrueNegatives(thresholds=...)",
)
def streaming_false_positive_rate_at_thresholds(
    predictions,
    labels,
    thresholds,
    weights=None,
    metrics_collections=None,
    updates_collections=None,
    name=None,
) -> Stream:
    """The fraction of the false examples above each threshold."""
    both = _streaming_counts(predictions, labels, thresholds, weights, ["fp", "tn"])
    return tuple(each["fp"] / (EPSILON + each["fp"] + each["tn"]) for each in both)


@stream(
    "false_negative_rate_at_thresholds",
    eager="FalseNegatives(thresholds=...) and TruePositives(thresholds=...)",
)
def streaming_false_negative_rate_at_thresholds(
    predictions,
    labels,
    thresholds,
    weights=None,
    metrics_collections=None,
    updates_collections=None,
    name=None,
) -> Stream:
    """The fraction of the true examples at or below each threshold."""
    both = _streaming_counts(predictions, labels, thresholds, weights, ["fn", "tp"])
    return tuple(each["fn"] / (EPSILON + each["fn"] + each["tp"]) for each in both)


@stream("curve_points", eager=None)
def streaming_curve_points(
    labels=None,
    predictions=None,
    weights=None,
    num_thresholds=200,
    metrics_collections=None,
    updates_collections=None,
    curve="ROC",
    name=None,
) -> Stream:
    """Points of the ROC curve (false and true positive rate) or of recall and precision.

    The value is [num_thresholds, 2]. ValueError if the curve is neither.
    """
    check_curve(curve)
    values, updates = _streaming_counts(predictions, labels, evenly_spaced(num_thresholds), weights)
    tp, fn, tn, fp = (values[kind] for kind in ("tp", "fn", "tn", "fp"))
    epsilon = 1e-6
    recall = (tp + epsilon) / (tp + fn + epsilon)
    if curve == "ROC":
        points = fp / (fp + tn + epsilon), recall
    else:
        points = recall, (tp + epsilon) / (tp + fp + epsilon)
    return tf.stack(points, axis=1), tf.group(*updates.values())


def check_curve(curve: str) -> None:
    """Raises ValueError for a curve that is neither ROC nor PR."""
    if curve not in ("ROC", "PR"):
        raise ValueError(f"curve must be either ROC or PR, {curve} unknown")


@stream("recall_at_precision", eager="RecallAtPrecision")
def recall_at_precision(
    labels,
    predictions,
    precision,
    weights=None,
    num_thresholds=200,
    metrics_collections=None,
    updates_collections=None,
    name=None,
    strict_mode=False,
) -> Stream:
    """The recall at the threshold whose precision is closest to the target."""
    _check_fraction("precision", precision)
    both = _streaming_counts(predictions, labels, evenly_spaced(num_thresholds), weights)

    def recall(tp: tf.Tensor, fn: tf.Tensor, tn: tf.Tensor, fp: tf.Tensor) -> tf.Tensor:
        surplus = tp / (tp + fp + EPSILON) - precision
        distance = tf.abs(surplus)
        if strict_mode:
            distance = tf.where(surplus >= 0, distance, float("inf"))
        best = tf.argmin(distance, output_type=tf.int32)
        recalls = tp / (tp + fn + EPSILON)
        return tf.where(tf.math.is_finite(distance[best]), recalls[best], 0.0)

    return tuple(recall(**each) for each in both)


@stream("precision_at_recall", eager="PrecisionAtRecall")
def precision_at_recall(
    labels,
    predictions,
    target_recall,
    weights=None,
    num_thresholds=200,
    metrics_collections=None,
    updates_collections=None,
    name=None,
) -> Stream:
    """The precision at the highest threshold that reaches the target recall."""
    _check_fraction("target_recall", target_recall)
    both = _streaming_counts(predictions, labels, evenly_spaced(num_thresholds), weights)

    def precision(tp: tf.Tensor, fn: tf.Tensor, tn: tf.Tensor, fp: tf.Tensor) -> tf.Tensor:
        reached = tp / (tp + fn + EPSILON) >= target_recall
        # Recall falls as thresholds rise. If none reaches the target, the last threshold counts.
        last = tf.reduce_sum(tf.cast(reached, tf.int32)) - 1
        return (tp[last] + EPSILON) / (tp[last] + fp[last] + EPSILON)

    return tuple(precision(**each) for each in both)


def _check_fraction(name: str, value: float) -> None:
    if not 0 <= value <= 1:
        raise ValueError(f"{name}={value} must be in the range [0, 1]")


@stream("f1", eager="F1Score")
def f1_score(
    labels,
    predictions,
    weights=None,
    num_thresholds=200,
    metrics_collections=None,
    updates_collections=None,
    name=None,
) -> Stream:
    """The highest F1 score, 2 * precision * recall / (precision + recall), of all thresholds.

    Predictions outside [0, 1] are an error when the graph runs.
    """
    both = _streaming_counts(
        in_unit_interval(predictions),
        labels,
        evenly_spaced(num_thresholds),
        weights,
        ["tp", "fp", "fn"],
    )
    return tuple(best_f1(**each) for each in both)


def best_f1(tp: tf.Tensor, fp: tf.Tensor, fn: tf.Tensor) -> tf.Tensor:
    """Returns the highest F1 score of all thresholds."""
    precision, recall = tp / (EPSILON + tp + fp), tp / (EPSILON + tp + fn)
    return tf.reduce_max(2 * precision * recall / (precision + recall + EPSILON))
