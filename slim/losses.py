"""Losses: each returns a scalar and adds it to the current pass.

`get_total_loss()` is the sum of the pass's losses and of the penalties on the variables it used.
Weights may be a number, or a tensor that broadcasts to the losses; the mean is over the elements
with a nonzero weight, as in TF-Slim.
"""

import tensorflow as tf

from slim.store import current_pass

LOSSES = "losses"


def add_loss(loss: tf.Tensor, name: str = "loss") -> None:
    """Adds a scalar to the losses of the current pass."""
    current_pass().losses.append((name, loss))


def get_losses(scope: str | None = None) -> list[tf.Tensor]:
    """Returns the losses of the current pass, or those whose name starts with `scope`."""
    return [loss for name, loss in current_pass().losses if scope is None or name.startswith(scope)]


def get_regularization_losses(scope: str | None = None) -> list[tf.Tensor]:
    """Returns the penalty of each variable that this pass used with a regularizer."""
    return [
        regularizer(variable)
        for name, (variable, regularizer) in current_pass().regularizers.items()
        if scope is None or name.startswith(scope)
    ]


def get_total_loss(add_regularization_losses: bool = True, name: str = "total_loss") -> tf.Tensor:
    """Returns the sum of the pass's losses and, by default, of its regularization losses.

    Raises:
      ValueError: if the pass has no loss of either kind.
    """
    losses = get_losses() + (get_regularization_losses() if add_regularization_losses else [])
    if not losses:
        raise ValueError("this pass has no losses; first call a function of slim.losses")
    return tf.add_n(losses, name=name)


def compute_weighted_loss(
    losses: tf.Tensor, weights: float | tf.Tensor = 1.0, scope: str | None = None
) -> tf.Tensor:
    """Adds the weighted sum of the losses, divided by the number of nonzero weights.

    Args:
      losses: any shape, [batch, ...].
      weights: a number, or a tensor that broadcasts to `losses`: of the same rank, or of its first
        axes ([batch] where losses are [batch, ...]), or with an axis of 1 at the end.
      scope: name of the loss.

    Returns:
      A scalar; zero where every weight is zero.

    Raises:
      ValueError: if the weights cannot broadcast.
    """
    losses = tf.cast(losses, tf.float32)
    weights = tf.cast(weights, tf.float32)
    rank, weight_rank = losses.shape.rank, weights.shape.rank
    missing = rank - weight_rank if weight_rank and rank is not None else 0
    if missing > 0:
        weights = tf.reshape(weights, tf.concat([tf.shape(weights), [1] * missing], 0))
    elif missing == -1 and weights.shape[-1] == 1:
        weights = tf.squeeze(weights, -1)
    try:
        tf.broadcast_static_shape(weights.shape, losses.shape).assert_is_compatible_with(
            losses.shape
        )
    except ValueError:
        raise ValueError(
            f"weights of shape {weights.shape} do not broadcast to losses of shape {losses.shape}"
        ) from None
    with tf.name_scope(scope or "weighted_loss"):
        present = tf.cast(tf.not_equal(tf.broadcast_to(weights, tf.shape(losses)), 0.0), tf.float32)
        loss = tf.math.divide_no_nan(tf.reduce_sum(losses * weights), tf.reduce_sum(present))
    add_loss(loss, scope or "weighted_loss")
    return loss


def softmax_cross_entropy(
    logits: tf.Tensor,
    onehot_labels: tf.Tensor,
    weights: float | tf.Tensor = 1.0,
    label_smoothing: float = 0.0,
    scope: str | None = None,
) -> tf.Tensor:
    """Adds the cross entropy of softmax(logits) with one-hot labels.

    Args:
      logits: [batch, classes].
      onehot_labels: [batch, classes].
      weights: see `compute_weighted_loss`; losses are [batch].
      label_smoothing: fraction of each label distributed evenly over the classes (Szegedy et al.,
        https://arxiv.org/abs/1512.00567, section 7).
      scope: name of the loss.

    Raises:
      ValueError: if the shapes differ or the smoothing is not in [0, 1).
    """
    logits, labels = _compared(logits, onehot_labels)
    _check_smoothing(label_smoothing)
    if label_smoothing:
        classes = tf.cast(tf.shape(labels)[-1], tf.float32)
        labels = labels * (1.0 - label_smoothing) + label_smoothing / classes
    losses = tf.nn.softmax_cross_entropy_with_logits(tf.stop_gradient(labels), logits)
    return compute_weighted_loss(losses, weights, scope or "softmax_cross_entropy_loss")


def sparse_softmax_cross_entropy(
    logits: tf.Tensor,
    labels: tf.Tensor,
    weights: float | tf.Tensor = 1.0,
    scope: str | None = None,
) -> tf.Tensor:
    """Adds the cross entropy of softmax(logits) with class numbers.

    Args:
      logits: [batch, ..., classes].
      labels: integers in [0, classes), [batch, ...] or [batch, ..., 1].
      weights: see `compute_weighted_loss`.
      scope: name of the loss.
    """
    logits, labels = tf.cast(logits, tf.float32), tf.convert_to_tensor(labels)
    if labels.shape.rank == logits.shape.rank:
        labels = tf.squeeze(labels, -1)
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
    return compute_weighted_loss(losses, weights, scope or "sparse_softmax_cross_entropy_loss")


def sigmoid_cross_entropy(
    logits: tf.Tensor,
    multi_class_labels: tf.Tensor,
    weights: float | tf.Tensor = 1.0,
    label_smoothing: float = 0.0,
    scope: str | None = None,
) -> tf.Tensor:
    """Adds the cross entropy of sigmoid(logits), for classes that are not mutually exclusive.

    Args:
      logits: [batch, classes].
      multi_class_labels: [batch, classes], each in [0, 1].
      weights: see `compute_weighted_loss`.
      label_smoothing: fraction by which labels move towards 0.5.
      scope: name of the loss.

    Raises:
      ValueError: if the shapes differ or the smoothing is not in [0, 1).
    """
    logits, labels = _compared(logits, multi_class_labels)
    _check_smoothing(label_smoothing)
    labels = labels * (1.0 - label_smoothing) + 0.5 * label_smoothing
    losses = tf.nn.sigmoid_cross_entropy_with_logits(labels, logits)
    return compute_weighted_loss(losses, weights, scope or "sigmoid_cross_entropy_loss")


def mean_squared_error(
    predictions: tf.Tensor,
    labels: tf.Tensor,
    weights: float | tf.Tensor = 1.0,
    scope: str | None = None,
) -> tf.Tensor:
    """Adds the mean of (predictions - labels) ** 2, element by element.

    Raises:
      ValueError: if the shapes differ.
    """
    predictions, labels = _compared(predictions, labels)
    losses = tf.square(predictions - labels)
    return compute_weighted_loss(losses, weights, scope or "mean_squared_error")


def absolute_difference(
    predictions: tf.Tensor,
    labels: tf.Tensor,
    weights: float | tf.Tensor = 1.0,
    scope: str | None = None,
) -> tf.Tensor:
    """Adds the mean of |predictions - labels|, element by element.

    Raises:
      ValueError: if the shapes differ.
    """
    predictions, labels = _compared(predictions, labels)
    return compute_weighted_loss(
        tf.abs(predictions - labels), weights, scope or "absolute_difference"
    )


def huber(
    predictions: tf.Tensor,
    labels: tf.Tensor,
    weights: float | tf.Tensor = 1.0,
    delta: float = 1.0,
    scope: str | None = None,
) -> tf.Tensor:
    """Adds the mean Huber loss: quadratic up to an error of `delta`, linear beyond.

    Raises:
      ValueError: if the shapes differ.
    """
    predictions, labels = _compared(predictions, labels)
    error = tf.abs(predictions - labels)
    quadratic = tf.minimum(error, delta)
    losses = 0.5 * tf.square(quadratic) + delta * (error - quadratic)
    return compute_weighted_loss(losses, weights, scope or "huber_loss")


def log_loss(
    predictions: tf.Tensor,
    labels: tf.Tensor,
    weights: float | tf.Tensor = 1.0,
    epsilon: float = 1e-7,
    scope: str | None = None,
) -> tf.Tensor:
    """Adds the mean of -labels * log(p) - (1 - labels) * log(1 - p), for probabilities p.

    Args:
      predictions: probabilities, any shape.
      labels: 0 or 1, of the same shape.
      weights: see `compute_weighted_loss`.
      epsilon: added inside the logarithms.
      scope: name of the loss.

    Raises:
      ValueError: if the shapes differ.
    """
    predictions, labels = _compared(predictions, labels)
    losses = -labels * tf.math.log(predictions + epsilon)
    losses -= (1.0 - labels) * tf.math.log(1.0 - predictions + epsilon)
    return compute_weighted_loss(losses, weights, scope or "log_loss")


def hinge_loss(
    logits: tf.Tensor, labels: tf.Tensor, weights: float | tf.Tensor = 1.0, scope: str | None = None
) -> tf.Tensor:
    """Adds the mean of max(0, 1 - (2 * labels - 1) * logits), for labels of 0 or 1.

    Raises:
      ValueError: if the shapes differ.
    """
    logits, labels = _compared(logits, labels)
    losses = tf.nn.relu(1.0 - (2.0 * labels - 1.0) * logits)
    return compute_weighted_loss(losses, weights, scope or "hinge_loss")


def cosine_distance(
    predictions: tf.Tensor,
    labels: tf.Tensor,
    axis: int,
    weights: float | tf.Tensor = 1.0,
    scope: str | None = None,
) -> tf.Tensor:
    """Adds the mean of 1 - sum(predictions * labels) along `axis`, for unit vectors.

    Raises:
      ValueError: if the shapes differ.
    """
    predictions, labels = _compared(predictions, labels)
    losses = 1.0 - tf.reduce_sum(predictions * labels, axis, keepdims=True)
    return compute_weighted_loss(losses, weights, scope or "cosine_distance_loss")


def _compared(predictions: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns both as float32, after checking that their shapes agree."""
    predictions, labels = tf.cast(predictions, tf.float32), tf.cast(labels, tf.float32)
    if not predictions.shape.is_compatible_with(labels.shape):
        raise ValueError(f"predictions have shape {predictions.shape}, but labels {labels.shape}")
    return predictions, labels


def _check_smoothing(label_smoothing: float) -> None:
    if not 0.0 <= label_smoothing < 1.0:
        raise ValueError(f"label_smoothing={label_smoothing} must lie in [0, 1)")
