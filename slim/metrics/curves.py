"""Areas under curves, exact or from histograms; graph code, hence `tf.compat.v1`."""

import statistics
from typing import Any, NamedTuple

import tensorflow as tf

from slim.graph import KEYS
from slim.metrics._streams import (
    EPSILON,
    Stream,
    aligned,
    broadcast,
    in_unit_interval,
    local_variable,
    stream,
    zero_or_one,
)
from slim.metrics.concatenation import streaming_concat
from slim.metrics.thresholds import check_curve


class AucData(NamedTuple):
    """An area under the ROC curve and its confidence interval, scalars."""

    auc: tf.Tensor
    lower: tf.Tensor
    upper: tf.Tensor


class PrecisionRecallData(NamedTuple):
    """Counts, precision and recall at each threshold, each [num_thresholds]."""

    tp: tf.Tensor
    fp: tf.Tensor
    tn: tf.Tensor
    fn: tf.Tensor
    precision: tf.Tensor
    recall: tf.Tensor
    thresholds: tf.Tensor


@stream("dynamic_auc", eager="AUC")
def streaming_dynamic_auc(
    labels,
    predictions,
    curve="ROC",
    metrics_collections=(),
    updates_collections=(),
    name=None,
    weights=None,
) -> Stream:
    """The exact area under the ROC or precision-recall curve of all batches.

    All labels (0 or 1) and predictions are kept. Without examples of both classes, the area is 0.
    """
    check_curve(curve)
    labels, predictions = tf.convert_to_tensor(labels), tf.convert_to_tensor(predictions)
    labels.shape.assert_is_compatible_with(predictions.shape)
    predictions = tf.reshape(tf.cast(predictions, tf.float64), [-1])
    columns = {"preds": predictions, "labels": zero_or_one(labels)}
    if weights is not None:
        columns["weights"] = tf.reshape(tf.cast(weights, tf.float64), [-1])
    kept, update = _kept(**columns)
    if weights is None:
        kept.append(tf.ones_like(kept[0]))
    return _area(*kept, curve), update


def _kept(**columns: tf.Tensor) -> tuple[list[tf.Tensor], tf.Operation]:
    """Returns the columns of all batches, and the op that appends this batch."""
    # A check of one column holds up the others too, so that none is appended alone. The values do
    # not depend on it: they are read when there is no further batch.
    with tf.control_dependencies(columns.values()):
        columns = {name: tf.identity(each) for name, each in columns.items()}
    streams = [streaming_concat(each, name=f"concat_{name}") for name, each in columns.items()]
    values, updates = zip(*streams, strict=True)
    return list(values), tf.group(*updates)


def _area(scores: tf.Tensor, labels: tf.Tensor, weights: tf.Tensor, curve: str) -> tf.Tensor:
    """Returns the area by trapezoids between distinct scores."""
    order = tf.argsort(scores, direction="DESCENDING", stable=True)
    scores, labels, weights = (tf.gather(each, order) for each in (scores, labels, weights))
    # `!=` compares identities in a graph.
    changes = tf.not_equal(scores[1:], scores[:-1])
    ends = tf.where(tf.concat([changes, tf.ones_like(scores[:1], tf.bool)], 0))
    positive = weights * tf.cast(labels, weights.dtype)

    def above(amounts: tf.Tensor) -> tf.Tensor:
        return tf.pad(tf.gather_nd(tf.cumsum(amounts), ends), [[1, 0]])

    hits, total, both = above(positive), above(weights), above(weights - positive)
    recall = tf.math.divide_no_nan(hits, hits[-1])
    if curve == "ROC":
        x, y = tf.math.divide_no_nan(both, both[-1]), recall
    else:
        first = tf.ones_like(hits[:1])
        x, y = recall, tf.concat([first, tf.math.divide_no_nan(hits[1:], total[1:])], 0)
    area = tf.reduce_sum((x[1:] - x[:-1]) * (y[1:] + y[:-1]) / 2)
    return tf.where((hits[-1] > 0) & (both[-1] > 0), area, tf.zeros_like(area))


@stream("auc_with_confidence_intervals", eager="AUC")
def auc_with_confidence_intervals(
    labels,
    predictions,
    weights=None,
    alpha=0.95,
    logit_transformation=True,
    metrics_collections=(),
    updates_collections=(),
    name=None,
) -> Stream:
    """The exact area under the ROC curve with a confidence interval.

    The interval is that of DeLong, DeLong and Clarke-Pearson (1988), from placement values. The
    value is an `AucData`. All labels (0 or 1) and predictions are kept. Where one class or a total
    weight of 1 is missing, all three numbers are 0. ValueError if alpha is not in (0, 1).
    """
    if not 0 < alpha < 1:
        raise ValueError(f"alpha={alpha} must be between 0 and 1")
    predictions, labels, weights = aligned(predictions, labels, weights)
    weights = broadcast(1.0 if weights is None else weights, predictions)
    kept, update = _kept(
        preds=tf.reshape(tf.cast(predictions, tf.float64), [-1]),
        labels=zero_or_one(labels),
        weights=tf.reshape(weights, [-1]),
    )
    return _interval(*kept, alpha, logit_transformation), update


def _interval(
    scores: tf.Tensor, labels: tf.Tensor, weights: tf.Tensor, alpha: float, logit: bool
) -> AucData:
    weights = tf.cast(weights, tf.float64)
    positive = weights * tf.cast(labels, tf.float64)
    negative = weights - positive
    places = _below(scores, negative), 1 - _below(scores, positive)
    totals = tf.reduce_sum(positive), tf.reduce_sum(negative)
    areas, variances = [], []
    for place, weight, total in zip(places, (positive, negative), totals, strict=True):
        area = tf.reduce_sum(weight * place) / (total + EPSILON)
        spread = tf.reduce_sum(weight * tf.square(place - area)) / (total - 1 + EPSILON)
        areas.append(area)
        variances.append(spread / (total + EPSILON))
    auc = tf.where(totals[1] < totals[0], *areas)
    error = tf.sqrt(sum(variances))

    quantile = statistics.NormalDist().inv_cdf((1 - alpha) / 2)
    if logit:
        middle = tf.math.log(auc / (1 - auc + EPSILON))
        margin = quantile * error / (auc * (1 - auc + EPSILON))
        low, high = (
            1 / (1 + tf.exp(-each) + EPSILON) for each in (middle + margin, middle - margin)
        )
    else:
        low, high = auc + quantile * error, auc - quantile * error
    certain = tf.equal(auc, 0) | tf.equal(auc, 1)
    low, high = (tf.where(certain, auc, each) for each in (low, high))
    valid = (totals[0] > 0) & (totals[1] > 0) & (totals[0] + totals[1] >= 1)
    numbers = (tf.where(valid, each, tf.zeros_like(each)) for each in (auc, low, high))
    return AucData(*(tf.cast(each, tf.float32) for each in numbers))


def _below(scores: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """Returns, for each score, the fraction of the weights with a lower score, ties as half."""
    order = tf.argsort(scores, stable=True)
    _, group = tf.unique(tf.gather(scores, order))
    in_group = tf.math.segment_sum(tf.gather(weights, order), group)
    placed = tf.cumsum(in_group, exclusive=True) + in_group / 2
    placed = tf.gather(placed, group) / (tf.reduce_sum(weights) + EPSILON)
    return tf.gather(placed, tf.argsort(order))


@stream("precision_recall_at_equal_thresholds", eager="Precision(thresholds=...)")
def precision_recall_at_equal_thresholds(
    labels, predictions, weights=None, num_thresholds=None, use_locking=None, name=None
) -> Stream:
    """Precision, recall and counts at thresholds 0, ..., 1 (201 by default), from a histogram.

    Scores at a threshold count as positive. The value is a `PrecisionRecallData`. Labels must be
    bool; predictions outside [0, 1] are an error when the graph runs.
    """
    tf.debugging.assert_type(labels, tf.bool)
    size = 201 if num_thresholds is None else num_thresholds
    predictions, labels, weights = aligned(in_unit_interval(predictions), labels, weights)
    weights = tf.cast(1.0 if weights is None else weights, tf.float64)
    positive = tf.cast(labels, tf.float64)
    bins = tf.cast(tf.floor(tf.reshape(predictions, [-1]) * (size - 1)), tf.int32)

    def histogram(amounts: tf.Tensor) -> tf.Tensor:
        return tf.math.unsorted_segment_sum(tf.reshape(amounts, [-1]), bins, size)

    with tf.name_scope("variables"):
        hits, misses = (
            local_variable(f"{kind}_buckets", [size], tf.float64) for kind in ("tp", "fp")
        )
    with tf.name_scope("update_op"):
        update = tf.group(
            hits.assign_add(histogram(positive * weights)),
            misses.assign_add(histogram((1 - positive) * weights)),
        )
    tp, fp = tf.cumsum(hits, reverse=True, name="tp"), tf.cumsum(misses, reverse=True, name="fp")
    tn, fn = fp[0] - fp, tp[0] - tp
    data = PrecisionRecallData(
        tp=tp,
        fp=fp,
        tn=tn,
        fn=fn,
        precision=tp / tf.maximum(tp + fp, EPSILON),
        recall=tp / tf.maximum(tp + fn, EPSILON),
        thresholds=tf.linspace(0.0, 1.0, size),
    )
    return PrecisionRecallData(*(tf.cast(each, predictions.dtype) for each in data)), update


@stream("auc_using_histogram", eager="AUC")
def auc_using_histogram(
    boolean_labels, scores, score_range, nbins=100, collections=None, check_shape=True, name=None
) -> Stream:
    """The approximate area under the ROC curve, from a histogram of each class.

    Bouckaert, "Efficient AUC learning curve calculation" (AI 2006). ValueError if the labels are
    not bool.
    """
    scores, labels, _ = aligned(scores, boolean_labels)
    if labels.dtype != tf.bool:
        raise ValueError(f"boolean_labels must be bool, not {labels.dtype.name}")
    checks = []
    if check_shape:
        checks = [
            tf.compat.v1.assert_rank(labels, 1, message="boolean_labels must have rank 1"),
            tf.compat.v1.assert_rank(scores, 1, message="scores must have rank 1"),
        ]
    with tf.control_dependencies(checks):
        scores, labels = tf.identity(scores), tf.identity(labels)
    collections = [KEYS.LOCAL_VARIABLES] if collections is None else collections
    with tf.compat.v1.variable_scope(None, "hist_accumulate"):
        kinds = {"hist_true_acc": labels, "hist_false_acc": ~labels}
        accumulated, updates = zip(
            *(
                _histogram(name, tf.boolean_mask(scores, mask), score_range, nbins, collections)
                for name, mask in kinds.items()
            ),
            strict=True,
        )
    rises, steps = (
        tf.cast(tf.reverse(each / tf.reduce_sum(each), [0]), tf.float32) for each in accumulated
    )
    heights = tf.cumsum(rises) - rises / 2
    return tf.reduce_sum(steps * heights, name="auc"), tf.group(*updates, name="update_op")


def _histogram(name: str, scores: tf.Tensor, score_range: Any, nbins: int, collections: Any) -> Any:
    """Returns the histogram of all batches, and the op that adds this batch."""
    variable = tf.compat.v1.get_variable(
        name,
        [nbins],
        tf.int64,
        tf.compat.v1.zeros_initializer(),
        trainable=False,
        collections=collections,
    )
    score_range = tf.cast(score_range, scores.dtype)
    batch = tf.histogram_fixed_width(scores, score_range, nbins, tf.int64)
    return tf.identity(variable), variable.assign_add(batch)
