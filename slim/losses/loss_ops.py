"""Losses: each returns a scalar and adds it to the current pass, or to a plain graph's collection.

`get_total_loss()` is the sum of these losses and of the penalties on the variables used. As in
TF-Slim, weights may be a number or a tensor of the losses' first axes ([batch] where losses are
[batch, ...]), and the mean is over the elements with a nonzero weight.
"""

import tensorflow as tf

from slim._shapes import static_sizes
from slim.arg_scope import add_arg_scope
from slim.passes import LOSSES, current_pass


@add_arg_scope
def add_loss(loss: tf.Tensor, loss_collection: str | None = LOSSES) -> None:
    """Adds a scalar to the losses of the current pass.

    Args:
      loss: the scalar.
      loss_collection: the collection; None adds it to none.
    """
    if loss_collection:
        current_pass().add_loss(loss, loss_collection)


def get_losses(scope: str | None = None, loss_collection: str = LOSSES) -> list[tf.Tensor]:
    """Returns the losses of a collection, or those made in the name scope `scope`."""
    return current_pass().get_losses(scope, loss_collection)


def get_regularization_losses(scope: str | None = None) -> list[tf.Tensor]:
    """Returns the penalty of each variable that this pass used with a regularizer.

    In a plain `tf.Graph`, returns all penalties of the graph.
    """
    return current_pass().get_penalties(scope)


def get_total_loss(add_regularization_losses: bool = True, name: str = "total_loss") -> tf.Tensor:
    """Returns the sum of the pass's losses and, by default, of its regularization losses.

    Raises:
      ValueError: if there is no loss of either kind.
    """
    losses = get_losses() + (get_regularization_losses() if add_regularization_losses else [])
    if not losses:
        raise ValueError("there are no losses to sum; first call a function of slim.losses")
    return tf.add_n(losses, name=name)


def compute_weighted_loss(
    losses: tf.Tensor, weights: float | tf.Tensor = 1.0, scope: str | None = None
) -> tf.Tensor:
    """Adds the weighted sum of the losses, divided by the number of nonzero weights.

    Args:
      losses: any shape of known rank, [batch, ...].
      weights: a number, or a tensor of the first axes of `losses`, with or without an axis of
        size 1 at the end.
      scope: name of the loss.

    Returns:
      A scalar of the losses' type (float32 for half precision); zero where every weight is zero.

    Raises:
      ValueError: if a rank is unknown, or the weights do not fit the losses.
    """
    with tf.name_scope(scope or "weighted_loss"):
        losses = _full(losses)
        dtype = losses.dtype
        losses, weights = tf.cast(losses, tf.float32), _weights(weights, losses)
        total = tf.reduce_sum(_weighted(losses, weights))
        mean = tf.math.divide_no_nan(total, tf.reduce_sum(_present(losses, weights)), name="value")
        mean = tf.cast(mean, dtype)
        add_loss(mean)
        return mean


def softmax_cross_entropy(
    logits: tf.Tensor,
    onehot_labels: tf.Tensor,
    weights: float | tf.Tensor = 1.0,
    label_smoothing: float = 0,
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
      ValueError: if the shapes differ or the smoothing is not in [0, 1].
    """
    with tf.name_scope(scope or "softmax_cross_entropy_loss") as name_scope:
        logits, labels = _compared(logits, onehot_labels)
        _check_smoothing(label_smoothing)
        if label_smoothing:
            classes = tf.cast(tf.shape(labels)[1], logits.dtype)
            labels = labels * (1.0 - label_smoothing) + label_smoothing / classes
        losses = tf.nn.softmax_cross_entropy_with_logits(
            tf.stop_gradient(labels), logits, name="xentropy"
        )
        return compute_weighted_loss(losses, weights, name_scope)


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
    with tf.name_scope(scope or "sparse_softmax_cross_entropy_loss") as name_scope:
        logits, labels = _full(logits), tf.convert_to_tensor(labels)
        if labels.shape.rank is not None and labels.shape.rank == logits.shape.rank:
            labels = tf.squeeze(labels, -1)
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits, name="xentropy")
        return compute_weighted_loss(losses, weights, name_scope)


def sigmoid_cross_entropy(
    logits: tf.Tensor,
    multi_class_labels: tf.Tensor,
    weights: float | tf.Tensor = 1.0,
    label_smoothing: float = 0,
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
      ValueError: if the shapes differ or the smoothing is not in [0, 1].
    """
    with tf.name_scope(scope or "sigmoid_cross_entropy_loss") as name_scope:
        logits, labels = _compared(logits, multi_class_labels)
        _check_smoothing(label_smoothing)
        if label_smoothing:
            labels = labels * (1.0 - label_smoothing) + 0.5 * label_smoothing
        losses = tf.nn.sigmoid_cross_entropy_with_logits(labels, logits, name="xentropy")
        return compute_weighted_loss(losses, weights, name_scope)


def mean_squared_error(
    predictions: tf.Tensor,
    labels: tf.Tensor | None = None,
    weights: float | tf.Tensor = 1.0,
    scope: str | None = None,
) -> tf.Tensor:
    """Adds the mean of (predictions - labels) ** 2, element by element.

    Raises:
      ValueError: if the shapes differ.
    """
    with tf.name_scope(scope or "mean_squared_error") as name_scope:
        predictions, labels = _compared_float32(predictions, labels)
        losses = tf.math.squared_difference(predictions, labels)
        return compute_weighted_loss(losses, weights, name_scope)


def mean_pairwise_squared_error(
    predictions: tf.Tensor,
    labels: tf.Tensor | None = None,
    weights: float | tf.Tensor = 1.0,
    scope: str | None = None,
) -> tf.Tensor:
    """Adds the sum over examples of the mean squared error of differences of pairs of elements.

    With d = predictions - labels and n elements in an example, its loss is
    2 * (sum(d ** 2) / n - (sum(d) / n) ** 2).

    Args:
      predictions: [batch, ...], of known rank.
      labels: of the same shape.
      weights: a number, [batch], or of the shape of the predictions.
      scope: name of the loss.

    Raises:
      ValueError: if the shapes differ or a rank is unknown.
    """
    with tf.name_scope(scope or "mean_pairwise_squared_error"):
        predictions, labels = _compared_float32(predictions, labels)
        errors = predictions - labels
        weights = _weights(weights, errors)
        present = _present(errors, weights)
        axes = list(range(1, errors.shape.rank))
        mean_of_squares = tf.math.divide_no_nan(
            tf.reduce_sum(tf.square(errors), axes), present, name="value"
        )
        square_of_mean = tf.math.divide_no_nan(
            tf.square(tf.reduce_sum(errors, axes)), tf.square(present), name="value"
        )
        losses = 2.0 * mean_of_squares - 2.0 * square_of_mean
        loss = tf.reduce_sum(_weighted(losses, weights))
        loss = tf.where(tf.reduce_sum(present) > 0, loss, tf.zeros_like(loss), name="value")
        add_loss(loss)
        return loss


def absolute_difference(
    predictions: tf.Tensor,
    labels: tf.Tensor | None = None,
    weights: float | tf.Tensor = 1.0,
    scope: str | None = None,
) -> tf.Tensor:
    """Adds the mean of |predictions - labels|, element by element.

    Raises:
      ValueError: if the shapes differ.
    """
    with tf.name_scope(scope or "absolute_difference") as name_scope:
        predictions, labels = _compared_float32(predictions, labels)
        return compute_weighted_loss(tf.abs(predictions - labels), weights, name_scope)


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
    with tf.name_scope(scope or "huber_loss") as name_scope:
        predictions, labels = _compared_float32(predictions, labels)
        error = tf.abs(predictions - labels)
        quadratic = tf.minimum(error, delta)
        losses = 0.5 * tf.square(quadratic) + delta * (error - quadratic)
        return compute_weighted_loss(losses, weights, name_scope)


def log_loss(
    predictions: tf.Tensor,
    labels: tf.Tensor | None = None,
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
    with tf.name_scope(scope or "log_loss") as name_scope:
        predictions, labels = _compared_float32(predictions, labels)
        losses = -labels * tf.math.log(predictions + epsilon)
        losses -= (1.0 - labels) * tf.math.log(1.0 - predictions + epsilon)
        return compute_weighted_loss(losses, weights, name_scope)


def hinge_loss(
    logits: tf.Tensor, labels: tf.Tensor | None = None, scope: str | None = None
) -> tf.Tensor:
    """Returns max(0, 1 - (2 * labels - 1) * logits), for labels of 0 or 1.

    As in TF-Slim, nothing is reduced and no loss is added: pass the result to
    `compute_weighted_loss`.

    Returns:
      The losses, of the shape of the logits.

    Raises:
      ValueError: if the shapes differ.
    """
    with tf.name_scope(scope or "hinge_loss"):
        logits, labels = _compared(logits, labels)
        return tf.nn.relu(1.0 - (2.0 * labels - 1.0) * logits)


def cosine_distance(
    predictions: tf.Tensor,
    labels: tf.Tensor | None = None,
    axis: int | None = None,
    weights: float | tf.Tensor = 1.0,
    scope: str | None = None,
    dim: int | None = None,
) -> tf.Tensor:
    """Adds the mean of 1 - sum(predictions * labels) along `axis`, for unit vectors.

    Args:
      predictions: unit vectors along `axis`.
      labels: of the same shape.
      axis: the axis of the vectors.
      weights: see `compute_weighted_loss`.
      scope: name of the loss.
      dim: TF-Slim's older name of `axis`.

    Raises:
      ValueError: if the shapes differ, or not exactly one of `axis` and `dim` is set.
    """
    if (axis is None) == (dim is None):
        raise ValueError("You must specify 'axis', or else 'dim', its older name, and not both")
    with tf.name_scope(scope or "cosine_distance_loss") as name_scope:
        predictions, labels = _compared_float32(predictions, labels)
        losses = 1.0 - tf.reduce_sum(predictions * labels, [dim if axis is None else axis])
        return compute_weighted_loss(losses, weights, name_scope)


def _full(tensor: tf.Tensor) -> tf.Tensor:
    """Returns half precision as float32, other types unchanged."""
    tensor = tf.convert_to_tensor(tensor)
    half = tensor.dtype in (tf.float16, tf.bfloat16)
    return tf.cast(tensor, tf.float32) if half else tensor


def _compared(predictions: tf.Tensor, labels: tf.Tensor | None) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns both in one type, after checking that their shapes agree."""
    if labels is None:
        raise ValueError("labels is None. Pass a tensor of the predictions' shape")
    predictions, labels = _full(predictions), tf.convert_to_tensor(labels)
    if not predictions.shape.is_compatible_with(labels.shape):
        raise ValueError(
            f"Shapes {predictions.shape} of the predictions and {labels.shape} of the labels are "
            "incompatible: they must be equal"
        )
    return predictions, tf.cast(labels, predictions.dtype)


def _compared_float32(
    predictions: tf.Tensor, labels: tf.Tensor | None
) -> tuple[tf.Tensor, tf.Tensor]:
    predictions = tf.cast(predictions, tf.float32)
    return _compared(predictions, labels if labels is None else tf.cast(labels, tf.float32))


def _check_smoothing(label_smoothing: float) -> None:
    if not 0.0 <= label_smoothing <= 1.0:
        raise ValueError(f"label_smoothing={label_smoothing} must lie in [0, 1]")


def _weights(weights: float | tf.Tensor, losses: tf.Tensor) -> tf.Tensor:
    """Returns float32 weights of the first axes of the losses."""
    if weights is None:
        raise ValueError("weights=None is not a number or a tensor; 1.0 weights all losses equally")
    weights = tf.cast(weights, tf.float32)
    for name, shape in {"losses": losses.shape, "weights": weights.shape}.items():
        if shape.rank is None:
            raise ValueError(f"{name}.get_shape().ndims cannot be None: the rank must be known")
    rank = weights.shape.rank
    if rank > 1 and (static_sizes(weights)[-1] == 1 or rank == losses.shape.rank + 1):
        weights = tf.squeeze(weights, [-1])
    own = weights.shape
    if own.rank > losses.shape.rank or not all(
        a is None or b is None or a in (1, b) for a, b in zip(own, losses.shape, strict=False)
    ):
        raise ValueError(
            f"weights of shape {own} cannot be broadcast to losses of shape {losses.shape}. "
            "Allowed: a scalar, or sizes 1 or equal along the first axes of the losses"
        )
    return weights


def _weighted(losses: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """Returns the losses, summed over the axes that the weights lack, times the weights."""
    return tf.reduce_sum(losses, list(range(weights.shape.rank, losses.shape.rank))) * weights


def _present(losses: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """Returns how many elements of each example have a nonzero weight, [batch]; for losses or
    weights without axes, their number."""
    nonzero = tf.cast(tf.not_equal(weights, 0.0), tf.float32)
    if losses.shape.rank == 0:
        return nonzero
    if weights.shape.rank == 0:
        nonzero = tf.fill(tf.shape(losses)[:1], nonzero)
    nonzero = tf.reduce_sum(nonzero, list(range(1, weights.shape.rank)))
    others = tf.shape(losses)[max(weights.shape.rank, 1) :]
    return nonzero * tf.cast(tf.reduce_prod(others), tf.float32)
