"""Sigmoid losses for classes of which few are present in an example."""

import tensorflow as tf

from slim.losses.loss_ops import compute_weighted_loss


def sigmoid_focal_cross_entropy(
    logits: tf.Tensor,
    multi_class_labels: tf.Tensor,
    weights: float | tf.Tensor = 1.0,
    label_smoothing: float = 0,
    gamma: float = 2.0,
    alpha: float | None = None,
    scope: str | None = None,
) -> tf.Tensor:
    """Adds the focal loss: the cross entropy of sigmoid(logits), times (1 - p) ** gamma.

    p is the probability of the label's value. (Lin et al., "Focal Loss for Dense Object Detection",
    2017, equation 5; https://arxiv.org/abs/1708.02002.)

    Args:
      logits: [batch, classes].
      multi_class_labels: [batch, classes], each in [0, 1].
      weights: see `compute_weighted_loss`.
      label_smoothing: fraction by which labels move towards 0.5.
      gamma: exponent; 0 is the cross entropy.
      alpha: weight of the present classes; that of the others is 1 - alpha. None: both are 1.
      scope: name of the loss.

    Raises:
      ValueError: if the shapes differ, or a number is out of range.
    """
    with tf.name_scope(scope or "sigmoid_focal_cross_entropy_loss") as name_scope:
        logits, labels = _prepared(logits, multi_class_labels, label_smoothing)
        positive, negative = _terms(logits, gamma, gamma, 0.0)
        if alpha is not None:
            _check_fraction("alpha", alpha)
            positive, negative = alpha * positive, (1.0 - alpha) * negative
        return compute_weighted_loss(_mixed(labels, positive, negative), weights, name_scope)


def sigmoid_asymmetric_cross_entropy(
    logits: tf.Tensor,
    multi_class_labels: tf.Tensor,
    weights: float | tf.Tensor = 1.0,
    label_smoothing: float = 0,
    gamma_positive: float = 0.0,
    gamma_negative: float = 4.0,
    clip: float = 0.05,
    scope: str | None = None,
) -> tf.Tensor:
    """Adds the asymmetric loss: a focal loss that discounts absent classes more.

    An absent class whose probability is at most `clip` has the loss 0. (Ridnik et al., "Asymmetric
    Loss For Multi-Label Classification", 2021, equation 7; https://arxiv.org/abs/2009.14119.)

    Args:
      logits: [batch, classes].
      multi_class_labels: [batch, classes], each in [0, 1].
      weights: see `compute_weighted_loss`.
      label_smoothing: fraction by which labels move towards 0.5.
      gamma_positive: exponent of the present classes.
      gamma_negative: exponent of the absent classes.
      clip: by which the probability of an absent class is lowered, below 1.
      scope: name of the loss.

    Raises:
      ValueError: if the shapes differ, or a number is out of range.
    """
    with tf.name_scope(scope or "sigmoid_asymmetric_cross_entropy_loss") as name_scope:
        logits, labels = _prepared(logits, multi_class_labels, label_smoothing)
        terms = _terms(logits, gamma_positive, gamma_negative, clip)
        return compute_weighted_loss(_mixed(labels, *terms), weights, name_scope)


def _prepared(
    logits: tf.Tensor, labels: tf.Tensor, label_smoothing: float
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns both as float32; half precision is too coarse for the logarithms."""
    logits, labels = tf.cast(logits, tf.float32), tf.cast(labels, tf.float32)
    if not logits.shape.is_compatible_with(labels.shape):
        raise ValueError(
            f"Shapes {logits.shape} of the logits and {labels.shape} of the labels are"
            " incompatible: they must be equal"
        )
    _check_fraction("label_smoothing", label_smoothing)
    return logits, labels * (1.0 - label_smoothing) + 0.5 * label_smoothing


def _terms(
    logits: tf.Tensor, gamma_positive: float, gamma_negative: float, clip: float
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the losses of each class if it is present, and if it is absent."""
    if min(gamma_positive, gamma_negative) < 0:
        raise ValueError(f"gamma={min(gamma_positive, gamma_negative)} must not be negative")
    _check_fraction("clip", clip)
    # log(p) and log(1 - p): their powers and products stay finite where p is 0 or 1.
    log_p, log_rest = tf.math.log_sigmoid(logits), tf.math.log_sigmoid(-logits)
    positive = -tf.exp(gamma_positive * log_rest) * log_p
    if not clip:
        return positive, -tf.exp(gamma_negative * log_p) * log_rest
    shifted = tf.nn.sigmoid(logits) - clip
    # The gradient of a power may be infinite at 0, where the loss is 0 anyway.
    counts = shifted > 0
    safe = tf.where(counts, shifted, tf.ones_like(shifted))
    negative = -(safe**gamma_negative) * tf.math.log(tf.nn.sigmoid(-logits) + clip)
    return positive, tf.where(counts, negative, tf.zeros_like(negative))


def _mixed(labels: tf.Tensor, positive: tf.Tensor, negative: tf.Tensor) -> tf.Tensor:
    labels = tf.stop_gradient(labels)
    return labels * positive + (1.0 - labels) * negative


def _check_fraction(name: str, value: float) -> None:
    if not 0.0 <= value <= 1.0:
        raise ValueError(f"{name}={value} must lie in [0, 1]")
