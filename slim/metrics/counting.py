"""Accuracy, counts and rates of examples, and what is computed from a confusion matrix."""

import tensorflow as tf

from slim.metrics._streams import Stream, aligned, broadcast, local_variable, stream
from slim.metrics.renamed import (
    streaming_false_negatives,
    streaming_false_positives,
    streaming_true_negatives,
    streaming_true_positives,
)


def accuracy(predictions, labels, weights=None, name=None) -> tf.Tensor:
    """Returns the weighted fraction of predictions that equal the labels, of these alone.

    Args:
      predictions: the type and the shape of `labels`.
      labels: bool, integers or strings.
      weights: a number, or a tensor that broadcasts to the labels.
      name: name of the scope.

    Returns:
      A float32 scalar, in any mode.

    Raises:
      ValueError: if the labels are floating point, or the types differ.
    """
    predictions, labels = tf.convert_to_tensor(predictions), tf.convert_to_tensor(labels)
    if not (labels.dtype.is_integer or labels.dtype in (tf.bool, tf.string)):
        raise ValueError(f"labels must be bool, integers or strings, not {labels.dtype.name}")
    if labels.dtype != predictions.dtype:
        raise ValueError(
            f"predictions are {predictions.dtype.name}, but labels are {labels.dtype.name}; cast "
            "one to the type of the other"
        )
    with tf.name_scope(name or "accuracy"):
        correct = tf.cast(tf.equal(predictions, labels), tf.float32)
        if weights is None:
            return tf.reduce_mean(correct)
        weights = tf.cast(weights, tf.float32) * tf.ones_like(correct)
        return tf.reduce_sum(correct * weights) / tf.reduce_sum(weights)


@stream("count", eager="Mean")
def count(
    values, weights=None, metrics_collections=None, updates_collections=None, name=None
) -> Stream:
    """The number of elements, or the sum of their weights."""
    total = local_variable("count")
    values, _, weights = aligned(values, values, weights)
    batch = tf.size(values, tf.int64) if weights is None else broadcast(weights, values)
    with tf.control_dependencies([values]):
        update = total.assign_add(tf.reduce_sum(tf.cast(batch, tf.float32)))
    return tf.identity(total), update


@stream("false_positive_rate", eager="FalsePositives and TrueNegatives")
def streaming_false_positive_rate(
    predictions,
    labels,
    weights=None,
    metrics_collections=None,
    updates_collections=None,
    name=None,
) -> Stream:
    """The fraction of the false examples that are predicted true; 0 without false examples."""
    return _rate(streaming_false_positives, streaming_true_negatives, predictions, labels, weights)


@stream("false_negative_rate", eager="FalseNegatives and TruePositives")
def streaming_false_negative_rate(
    predictions,
    labels,
    weights=None,
    metrics_collections=None,
    updates_collections=None,
    name=None,
) -> Stream:
    """The fraction of the true examples that are predicted false; 0 without true examples."""
    return _rate(streaming_false_negatives, streaming_true_positives, predictions, labels, weights)


def _rate(wrong, right, predictions, labels, weights) -> Stream:
    arguments = aligned(tf.cast(predictions, tf.bool), tf.cast(labels, tf.bool), weights)
    pairs = zip(wrong(*arguments), right(*arguments), strict=True)
    return tuple(tf.math.divide_no_nan(each, each + other) for each, other in pairs)


@stream("cohen_kappa", eager="CohenKappa")
def cohen_kappa(
    labels,
    predictions_idx,
    num_classes,
    weights=None,
    metrics_collections=None,
    updates_collections=None,
    name=None,
) -> Stream:
    """Cohen's kappa: the agreement of predicted and true classes beyond that of chance, float64.

    ValueError if there are fewer than two classes or the labels are neither [batch] nor [batch, 1].
    """
    if num_classes < 2:
        raise ValueError(f"num_classes={num_classes} must be at least 2")
    labels = tf.convert_to_tensor(labels)
    if labels.shape.with_rank_at_most(2).rank == 2:
        labels = tf.squeeze(labels, [-1])
    predictions, labels, weights = aligned(predictions_idx, labels, weights)
    integers = weights is None or weights.dtype.is_integer
    dtype = tf.int64 if integers else tf.float32
    table = tf.math.confusion_matrix(labels, predictions, num_classes, weights, dtype)
    batch = {
        "po": tf.linalg.diag_part(table),
        "pe_row": tf.reduce_sum(table, 0),
        "pe_col": tf.reduce_sum(table, 1),
    }
    sums = {key: local_variable(key, [num_classes], dtype) for key in batch}
    updates = [sums[key].assign_add(batch[key]) for key in batch]
    return kappa(*sums.values()), kappa(*updates)


def kappa(agreed: tf.Tensor, predicted: tf.Tensor, true: tf.Tensor) -> tf.Tensor:
    """Returns Cohen's kappa from the weights of each class, [classes]; 0 for 0 / 0."""
    agreed, predicted, true = (tf.cast(each, tf.float64) for each in (agreed, predicted, true))
    total = tf.reduce_sum(predicted)
    chance = tf.math.divide_no_nan(tf.reduce_sum(predicted * true), total)
    return tf.math.divide_no_nan(tf.reduce_sum(agreed) - chance, total - chance)
