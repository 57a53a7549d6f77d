"""Losses that train embeddings: near each other with the same label, far apart otherwise.

Each returns a scalar and, unlike other losses, adds it nowhere: call `slim.losses.add_loss`. They
work in eager code, in a `tf.function` and in a plain graph. Half precision is computed in float32.
"""

import functools
from collections.abc import Sequence

import tensorflow as tf

from slim import _checks
from slim.losses._clustering import AGREEMENTS, search
from slim.summaries import add_scalar_summary, printed

__all__ = [
    "cluster_loss",
    "contrastive_loss",
    "lifted_struct_loss",
    "npairs_loss",
    "npairs_loss_multilabel",
    "triplet_semihard_loss",
]

# Stands for minus infinity, whose gradient is NaN.
_NEVER = -1e30


def contrastive_loss(
    labels: tf.Tensor,
    embeddings_anchor: tf.Tensor,
    embeddings_positive: tf.Tensor,
    margin: float = 1.0,
) -> tf.Tensor:
    """Returns the mean of D ** 2 over equal pairs and of max(margin - D, 0) ** 2 over others.

    Source: Hadsell, Chopra and LeCun, "Dimensionality Reduction by Learning an Invariant Mapping",
    http://yann.lecun.com/exdb/publis/pdf/hadsell-chopra-lecun-06.pdf.

    Args:
      labels: [batch], 1 for a pair of the same class and 0 for another.
      embeddings_anchor: [batch, size], usually of unit length.
      embeddings_positive: [batch, size].
      margin: distance beyond which different classes have no loss.
    """
    anchors, positives = _as_float(embeddings_anchor), _as_float(embeddings_positive)
    squares = tf.reduce_sum(tf.math.squared_difference(anchors, positives), 1)
    distances = _root(squares)
    labels = tf.cast(labels, squares.dtype)
    apart = tf.square(tf.maximum(margin - distances, 0.0))
    return tf.reduce_mean(labels * squares + (1.0 - labels) * apart, name="contrastive_loss")


def triplet_semihard_loss(
    labels: tf.Tensor, embeddings: tf.Tensor, margin: float = 1.0
) -> tf.Tensor:
    """Returns the mean of max(D(anchor, positive) - D(anchor, negative) + margin, 0).

    D is the squared distance. The mean is over all ordered pairs with the same label. The negative
    is the nearest one farther than the positive ("semi-hard"), or the farthest if there is none.

    Source: Schroff et al., "FaceNet", https://arxiv.org/abs/1503.03832.

    Args:
      labels: [batch], integers.
      embeddings: [batch, size], usually of unit length.
      margin: how much farther negatives should be.

    Returns:
      A scalar; 0 if no two labels are equal, where TF-Slim returns NaN.
    """
    distances = pairwise_distances(embeddings, squared=True)
    same, positives = _pairs(labels, distances.dtype)
    # [anchor, positive, negative]
    is_semihard = ~same[:, None, :] & (distances[:, None, :] > distances[:, :, None])
    largest = distances.dtype.max
    nearest = tf.reduce_min(_where(is_semihard, distances[:, None, :], largest), 2)
    farthest = tf.reduce_max(_where(~same, distances, 0.0), 1, keepdims=True)
    negatives = tf.where(tf.reduce_any(is_semihard, 2), nearest, farthest)
    losses = tf.maximum((margin + (distances - negatives)) * positives, 0.0)
    return tf.math.divide_no_nan(
        tf.reduce_sum(losses), tf.reduce_sum(positives), name="triplet_semihard_loss"
    )


def npairs_loss(
    labels: tf.Tensor,
    embeddings_anchor: tf.Tensor,
    embeddings_positive: tf.Tensor,
    reg_lambda: float = 0.002,
    print_losses: bool = False,
) -> tf.Tensor:
    """Returns the cross entropy of the similarities of N pairs, plus an L2 penalty.

    Row i of `anchors @ positives^T` are the logits of anchor i; its target is distributed evenly
    over the positives with the same label.

    Source: Sohn, "Improved Deep Metric Learning with Multi-class N-pair Loss Objective", NIPS 2016.

    Args:
      labels: [pairs], integers; the original has each label once.
      embeddings_anchor: [pairs, size], not of unit length.
      embeddings_positive: [pairs, size].
      reg_lambda: weight of the penalty, of the mean square length of the embeddings / 4.
      print_losses: whether to print both parts to stderr.
    """
    targets, _ = _pairs(labels, tf.float32)  # whether the labels are equal
    return _npairs(targets, embeddings_anchor, embeddings_positive, reg_lambda, print_losses)


def npairs_loss_multilabel(
    sparse_labels: Sequence[tf.SparseTensor],
    embeddings_anchor: tf.Tensor,
    embeddings_positive: tf.Tensor,
    reg_lambda: float = 0.002,
    print_losses: bool = False,
) -> tf.Tensor:
    """Returns the N-pair loss where each pair has several labels.

    The target of an anchor is proportional to the number of labels that it shares with each
    positive; see `npairs_loss`.

    Args:
      sparse_labels: for each pair a sparse tensor [classes], 1 for each of its labels.
      embeddings_anchor: [pairs, size], not of unit length.
      embeddings_positive: [pairs, size].
      reg_lambda: see `npairs_loss`.
      print_losses: see `npairs_loss`.
    """
    with tf.name_scope("NpairsLossMultiLabel"):
        rows = [tf.sparse.to_dense(tf.cast(labels, tf.float32)) for labels in sparse_labels]
        labels = tf.stack(rows)
        shared = tf.matmul(labels, labels, transpose_b=True)
        return _npairs(shared, embeddings_anchor, embeddings_positive, reg_lambda, print_losses)


def lifted_struct_loss(labels: tf.Tensor, embeddings: tf.Tensor, margin: float = 1.0) -> tf.Tensor:
    """Returns the lifted structured loss.

    For each pair (i, j) with the same label it is max(J, 0) ** 2 / 2, where J is D(i, j) plus the
    logarithm of the sum of exp(margin - D) over all negatives of i and of j.

    Source: Song et al., "Deep Metric Learning via Lifted Structured Feature Embedding",
    https://arxiv.org/abs/1511.06452.

    Args:
      labels: [batch], integers.
      embeddings: [batch, size], not of unit length.
      margin: distance beyond which negatives matter little.

    Returns:
      A scalar; 0 if no two labels are equal or all are, where TF-Slim returns NaN.
    """
    distances = pairwise_distances(embeddings)
    same, positives = _pairs(labels, distances.dtype)
    of_row = tf.reduce_logsumexp(_where(~same, margin - distances, _NEVER), 1, keepdims=True)
    of_column = tf.transpose(of_row)
    of_both = of_column + tf.nn.softplus(of_row - of_column)  # logarithm of the sum of both
    losses = tf.square(tf.maximum((of_both + distances) * positives, 0.0))
    return tf.math.divide_no_nan(
        0.25 * tf.reduce_sum(losses), tf.reduce_sum(positives) / 2.0, name="liftedstruct_loss"
    )


def cluster_loss(
    labels: tf.Tensor,
    embeddings: tf.Tensor,
    margin_multiplier: float,
    enable_pam_finetuning: bool = True,
    margin_type: str = "nmi",
    print_losses: bool = False,
) -> tf.Tensor:
    """Returns how much better the worst wrong clustering is than that by the labels, at least 0.

    A clustering's score is minus the sum of the distances to the nearest medoid. The worst one has
    as many medoids as there are labels, and the largest sum of its score and of
    margin_multiplier * (1 - agreement with the labels); it is sought greedily, as in TF-Slim. The
    search runs in NumPy on the host, so it works neither under XLA nor in a SavedModel.

    Three summaries are added: `losses/score_pred`, `losses/score_gt` and `losses/MARGIN_TYPE`.

    Source: Song et al., "Deep Metric Learning via Facility Location",
    https://arxiv.org/abs/1612.01213.

    Args:
      labels: [batch] or [batch, 1].
      embeddings: [batch, size], usually of unit length.
      margin_multiplier: weight of the disagreement with the labels.
      enable_pam_finetuning: whether to improve the medoids by five rounds of local search.
      margin_type: measure of the agreement, in [0, 1]: normalized mutual information "nmi",
        adjusted mutual information "ami", adjusted Rand index "ari", V-measure "vmeasure", or
        "const": 1 if each label is the index of its cluster, otherwise 0.
      print_losses: whether to print the loss to stderr.

    Raises:
      UserError: for an unknown `margin_type`.
    """
    _checks.one_of("margin_type", margin_type, AGREEMENTS)
    distances = pairwise_distances(embeddings)
    labels = tf.reshape(labels, [-1])
    medoids, agreement = tf.numpy_function(
        functools.partial(search, margin_type=margin_type, refine=enable_pam_finetuning),
        [distances, labels, tf.cast(margin_multiplier, tf.float64)],
        [tf.int32, tf.float64],
    )
    medoids.set_shape([None])
    agreement.set_shape([])
    agreement = tf.cast(agreement, distances.dtype)
    score = -tf.reduce_sum(tf.reduce_min(tf.gather(distances, medoids), 0))
    score_of_labels = _score_of_labels(distances, labels)
    margin = tf.cast(margin_multiplier, distances.dtype) * (1.0 - agreement)
    loss = tf.maximum(score + margin - score_of_labels, 0.0, name="clustering_loss")
    if print_losses:
        loss = printed(loss, "clustering_loss:", loss)
    add_scalar_summary(score, "losses/score_pred")
    add_scalar_summary(agreement, f"losses/{margin_type}")
    add_scalar_summary(score_of_labels, "losses/score_gt")
    return loss


def pairwise_distances(embeddings: tf.Tensor, squared: bool = False) -> tf.Tensor:
    """Returns the Euclidean distances [batch, batch] of embeddings [batch, size]."""
    embeddings = _as_float(embeddings)
    lengths = tf.reduce_sum(tf.square(embeddings), 1, keepdims=True)
    products = tf.matmul(embeddings, embeddings, transpose_b=True)
    squares = tf.maximum(lengths + tf.transpose(lengths) - 2.0 * products, 0.0)
    squares = tf.linalg.set_diag(squares, tf.zeros_like(squares[:, 0]))
    if squared:
        return squares
    return _root(squares)


def _pairs(labels: tf.Tensor, dtype: tf.DType) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns which pairs have the same label, and as numbers without those of one element."""
    labels = tf.reshape(labels, [-1])
    same = tf.equal(labels[:, None], labels[None, :])
    positives = tf.cast(same, dtype)
    return same, tf.linalg.set_diag(positives, tf.zeros_like(positives[:, 0]))


def _score_of_labels(distances: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """Returns minus the sum of the distances to the best medoid of each label."""
    same, _ = _pairs(labels, distances.dtype)
    as_medoid = tf.reduce_sum(_where(same, distances, 0.0), 0)
    names, classes = tf.unique(labels)
    return -tf.reduce_sum(tf.math.unsorted_segment_min(as_medoid, classes, tf.size(names)))


def _where(condition: tf.Tensor, values: tf.Tensor, other: float) -> tf.Tensor:
    return tf.where(condition, values, tf.constant(other, values.dtype))


def _root(squares: tf.Tensor) -> tf.Tensor:
    """Returns the square root, with a gradient of 0 at 0 instead of infinity."""
    is_positive = squares > 0.0
    return _where(is_positive, tf.sqrt(_where(is_positive, squares, 1.0)), 0.0)


def _npairs(
    targets: tf.Tensor,
    embeddings_anchor: tf.Tensor,
    embeddings_positive: tf.Tensor,
    reg_lambda: float,
    print_losses: bool,
) -> tf.Tensor:
    anchors, positives = _as_float(embeddings_anchor), _as_float(embeddings_positive)
    lengths = [tf.reduce_mean(tf.reduce_sum(tf.square(x), 1)) for x in (anchors, positives)]
    penalty = tf.multiply(lengths[0] + lengths[1], 0.25 * reg_lambda, name="l2loss")
    targets = tf.cast(targets, anchors.dtype)
    targets /= tf.reduce_sum(targets, 1, keepdims=True)
    similarities = tf.matmul(anchors, positives, transpose_b=True)
    entropy = tf.nn.softmax_cross_entropy_with_logits(tf.stop_gradient(targets), similarities)
    entropy = tf.reduce_mean(entropy, name="xentropy")
    if print_losses:
        entropy = printed(entropy, "cross entropy:", entropy, "l2loss:", penalty)
    return penalty + entropy


def _as_float(values: tf.Tensor) -> tf.Tensor:
    values = tf.convert_to_tensor(values)
    return values if values.dtype == tf.float64 else tf.cast(values, tf.float32)
