"""Metrics of the k likeliest classes that are not in `tf.compat.v1.metrics`."""

import tensorflow as tf

from slim.metrics._streams import Stream, broadcast, local_variable, stream
from slim.metrics.renamed import streaming_mean


@stream(None, eager="RecallAtK")
def streaming_recall_at_k(
    predictions,
    labels,
    k,
    weights=None,
    metrics_collections=None,
    updates_collections=None,
    name=None,
) -> Stream:
    """The fraction of labels, [batch], that are among the k highest scores, [batch, classes].

    Ties count as hits, as in `tf.math.in_top_k`.
    """
    hits = tf.cast(tf.math.in_top_k(labels, predictions, k), tf.float32)
    return streaming_mean(hits, weights, name=name or f"recall_at_{k}")


@stream("average_precision_at_top_k", eager=None)
def streaming_sparse_average_precision_at_top_k(
    top_k_predictions,
    labels,
    weights=None,
    metrics_collections=None,
    updates_collections=None,
    name=None,
) -> Stream:
    """The mean over examples of the average precision of the predicted classes, float64.

    Labels are dense or sparse, [batch, ..., labels] or [batch, ...]; negative ones are ignored.
    ValueError if the predictions have less than two axes, or k is unknown.
    """
    precisions = _average_precisions(tf.cast(top_k_predictions, tf.int64), labels)
    weights = broadcast(1.0 if weights is None else weights, precisions, tf.float64)
    batch = {"max": tf.reduce_sum(weights), "total": tf.reduce_sum(precisions * weights)}
    sums = {name: local_variable(name, dtype=tf.float64) for name in batch}
    updates = {name: sums[name].assign_add(batch[name]) for name in batch}
    return tuple(tf.math.divide_no_nan(each["total"], each["max"]) for each in (sums, updates))


def _average_precisions(classes: tf.Tensor, labels: tf.Tensor | tf.SparseTensor) -> tf.Tensor:
    """Returns the average precision of each example; NaN for one without labels."""
    k = classes.shape.as_list()[-1] if (classes.shape.rank or 0) > 1 else None
    if k is None:
        raise ValueError(
            f"top_k_predictions has shape {classes.shape}; expected [batch, ..., k] with a known "
            "k. Set it with top_k_predictions.set_shape(...)"
        )
    labels = tf.compat.v1.convert_to_tensor_or_sparse_tensor(labels)
    if isinstance(labels, tf.SparseTensor):
        labels = tf.sparse.to_dense(labels, -1, validate_indices=False)
    labels = tf.cast(labels, tf.int64)
    if labels.shape.rank == classes.shape.rank - 1:
        labels = labels[..., tf.newaxis]
    matches = tf.equal(classes[..., tf.newaxis], labels[..., tf.newaxis, :])
    relevant = tf.cast(tf.reduce_any(matches & (labels >= 0)[..., tf.newaxis, :], -1), tf.float64)
    precision = tf.cumsum(relevant, -1) / tf.range(1, k + 1, dtype=tf.float64)
    most = tf.minimum(tf.reduce_sum(tf.cast(labels >= 0, tf.int32), -1), k)
    return tf.reduce_sum(precision * relevant, -1) / tf.cast(most, tf.float64)
