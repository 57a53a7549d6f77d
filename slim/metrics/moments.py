"""Covariance and correlation of all batches, by the update of Chan et al. for two samples."""

from typing import NamedTuple

import tensorflow as tf

from slim.metrics._streams import Stream, aligned, broadcast, local_variable, stream


class Moments(NamedTuple):
    """Weight, means and sum of products of deviations of a sample of pairs, scalars."""

    count: tf.Tensor
    mean_prediction: tf.Tensor
    mean_label: tf.Tensor
    comoment: tf.Tensor

    def covariance(self) -> tf.Tensor:
        """Returns the unbiased covariance; NaN where the weight is at most 1."""
        biased = self.comoment / (self.count - 1)
        return tf.where(self.count <= 1, tf.constant(float("nan"), biased.dtype), biased)


def moments(x: tf.Tensor, y: tf.Tensor, weights: tf.Tensor) -> Moments:
    """Returns the moments of one batch, all of the same shape and type."""
    total = tf.reduce_sum(weights)
    means = [tf.math.divide_no_nan(tf.reduce_sum(each * weights), total) for each in (x, y)]
    return Moments(total, *means, tf.reduce_sum((x - means[0]) * (y - means[1]) * weights))


def merged(a: Moments, b: Moments) -> Moments:
    """Returns the moments of two samples together."""
    total = a.count + b.count
    share = tf.math.divide_no_nan(b.count, total)
    x, y = b.mean_prediction - a.mean_prediction, b.mean_label - a.mean_label
    return Moments(
        total,
        a.mean_prediction + x * share,
        a.mean_label + y * share,
        a.comoment + b.comoment + x * y * share * a.count,
    )


@stream("covariance", eager="PearsonCorrelation")
def streaming_covariance(
    predictions,
    labels,
    weights=None,
    metrics_collections=None,
    updates_collections=None,
    name=None,
) -> Stream:
    """The unbiased sample covariance of predictions and labels; NaN for less than two examples."""
    predictions, labels, weights = aligned(predictions, labels, weights)
    weights = broadcast(1.0 if weights is None else weights, labels)
    batch = moments(tf.cast(predictions, tf.float32), tf.cast(labels, tf.float32), weights)
    variables = [local_variable(each) for each in Moments._fields]
    kept = Moments(*map(tf.identity, variables))
    after = merged(kept, batch)
    # All variables are read before the first is assigned.
    with tf.control_dependencies(after):
        assigned = [each.assign(new) for each, new in zip(variables, after, strict=True)]
    with tf.control_dependencies(assigned):
        update = tf.identity(after.covariance(), name="update_op")
    return tf.identity(kept.covariance(), name="covariance"), update


@stream("pearson_r", eager="PearsonCorrelation")
def streaming_pearson_correlation(
    predictions,
    labels,
    weights=None,
    metrics_collections=None,
    updates_collections=None,
    name=None,
) -> Stream:
    """The correlation coefficient of predictions and labels; NaN for less than two examples."""
    predictions, labels, weights = aligned(predictions, labels, weights)
    pairs = {
        "covariance": (predictions, labels),
        "variance_predictions": (predictions, predictions),
        "variance_labels": (labels, labels),
    }
    streams = [streaming_covariance(*pair, weights, name=name) for name, pair in pairs.items()]
    value, update = (
        covariance / (tf.sqrt(first) * tf.sqrt(second))
        for covariance, first, second in zip(*streams, strict=True)
    )
    return tf.identity(value, name="pearson_r"), tf.identity(update, name="update_op")
