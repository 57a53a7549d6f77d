"""Functions of tensors without variables: scaled gradients, buckets, projection on a ball."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf


def scale_gradient(inputs: tf.Tensor, gradient_multiplier: Any) -> tf.Tensor:
    """Returns `inputs`; gradients through it are multiplied by `gradient_multiplier`.

    Args:
      inputs: a tensor.
      gradient_multiplier: a number or tensor that broadcasts to the inputs; it has no gradient.
    """
    return _scaled(tf.convert_to_tensor(inputs), gradient_multiplier)


@tf.custom_gradient
def _scaled(inputs: tf.Tensor, multiplier: tf.Tensor) -> Any:
    return inputs, lambda upstream: (upstream * tf.cast(multiplier, upstream.dtype), None)


def poincare_normalize(
    x: tf.Tensor, axis: int | Sequence[int] = 1, epsilon: float = 1e-5, name: str | None = None
) -> tf.Tensor:
    """Scales vectors down to a norm of at most `1 - epsilon`, into the Poincaré ball.

    Nickel and Kiela, https://arxiv.org/abs/1705.08039.

    Args:
      x: a floating tensor.
      axis: the axis, or axes, along which the vectors lie.
      epsilon: smallest distance from the unit sphere.
      name: of the operation.
    """
    with tf.name_scope(name or "poincare_normalize") as scope:
        x = tf.convert_to_tensor(x, name="x")
        inverse_norm = tf.math.rsqrt(tf.reduce_sum(tf.square(x), axis, keepdims=True))
        return tf.multiply(x, tf.minimum((1.0 - epsilon) * inverse_norm, 1.0), name=scope)


def bucketize(
    input_tensor: tf.Tensor, boundaries: Sequence[float], name: str | None = None
) -> tf.Tensor:
    """Returns for each value the number of boundaries at or below it.

    Args:
      input_tensor: int32, int64, float32 or float64.
      boundaries: a sorted list of numbers.
      name: of the operation.

    Returns:
      int32, in the shape of the input.
    """
    return tf.raw_ops.Bucketize(input=input_tensor, boundaries=boundaries, name=name)
