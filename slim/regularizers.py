"""Penalties on weights: functions from a variable to a scalar loss."""

import numbers
from collections.abc import Callable, Iterable, Sequence

import tensorflow as tf

from slim import _checks

Regularizer = Callable[[tf.Tensor], tf.Tensor]


def l1_regularizer(scale: float) -> Regularizer | None:
    """Returns `weights -> scale * sum(|weights|)`, or None where the scale is zero.

    Raises:
      ValueError: if `scale` is not a number or is negative.
    """
    scale = _scale(scale)
    return None if scale == 0.0 else lambda weights: scale * tf.reduce_sum(tf.abs(weights))


def l2_regularizer(scale: float) -> Regularizer | None:
    """Returns `weights -> scale * sum(weights ** 2) / 2`, or None where the scale is zero.

    Raises:
      ValueError: if `scale` is not a number or is negative.
    """
    scale = _scale(scale)
    return None if scale == 0.0 else lambda weights: scale * tf.nn.l2_loss(weights)


def l1_l2_regularizer(scale_l1: float = 1.0, scale_l2: float = 1.0) -> Regularizer | None:
    """Returns the sum of an L1 and an L2 penalty."""
    return sum_regularizer([l1_regularizer(scale_l1), l2_regularizer(scale_l2)])


def sum_regularizer(regularizers: Iterable[Regularizer | None]) -> Regularizer | None:
    """Returns the sum of the regularizers that are not None, or None where there is none."""
    present = [regularizer for regularizer in regularizers if regularizer is not None]
    if not present:
        return None
    return lambda weights: tf.add_n([regularizer(weights) for regularizer in present])


def apply_regularization(regularizer: Regularizer, weights_list: Sequence[tf.Tensor]) -> tf.Tensor:
    """Returns the summed penalty of `weights_list`, a scalar.

    Raises:
      ValueError: if the list is empty.
    """
    if not weights_list:
        raise ValueError("weights_list is empty. Pass the variables to penalize")
    return tf.add_n([regularizer(weights) for weights in weights_list])


def _scale(scale: float) -> float:
    if not isinstance(scale, numbers.Real) or isinstance(scale, bool):
        raise ValueError(f"scale={scale!r} must be a number")
    _checks.non_negative(scale=scale)
    return float(scale)
