"""Penalties on weights: functions from a variable to a scalar loss."""

import numbers
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import tensorflow as tf

from slim import _checks
from slim.graph import KEYS

Regularizer = Callable[[tf.Tensor], tf.Tensor | None]


def no_penalty(weights: Any) -> None:
    """Returns None: the regularizer of scale zero."""


def l1_regularizer(scale: float | tf.Tensor, scope: str | None = None) -> Regularizer:
    """Returns `weights -> scale * sum(|weights|)`.

    Args:
      scale: a float, or a scalar tensor; 0.0 disables the penalty, which is then None.
      scope: name of the op, "l1_regularizer" by default.

    Raises:
      ValueError: if `scale` is an integer, not numeric, or negative.
    """
    return _scaled("l1_regularizer", scale, scope, lambda weights: tf.reduce_sum(tf.abs(weights)))


def l2_regularizer(scale: float | tf.Tensor, scope: str | None = None) -> Regularizer:
    """Returns `weights -> scale * sum(weights ** 2) / 2`.

    Args:
      scale: a float, or a scalar tensor; 0.0 disables the penalty, which is then None.
      scope: name of the op, "l2_regularizer" by default.

    Raises:
      ValueError: if `scale` is an integer, not numeric, or negative.
    """
    return _scaled("l2_regularizer", scale, scope, tf.nn.l2_loss)


def l1_l2_regularizer(
    scale_l1: float | tf.Tensor = 1.0, scale_l2: float | tf.Tensor = 1.0, scope: str | None = None
) -> Regularizer:
    """Returns the sum of an L1 and an L2 penalty.

    Args:
      scale_l1: of the L1 penalty, as in `l1_regularizer`.
      scale_l2: of the L2 penalty.
      scope: name of the op, "l1_l2_regularizer" by default.

    Raises:
      ValueError: if a scale is an integer, not numeric, or negative.
    """
    scope = scope or "l1_l2_regularizer"
    if _is_zero(scale_l1):
        return l2_regularizer(scale_l2, scope)
    if _is_zero(scale_l2):
        return l1_regularizer(scale_l1, scope)
    return sum_regularizer([l1_regularizer(scale_l1), l2_regularizer(scale_l2)], scope)


def sum_regularizer(
    regularizer_list: Iterable[Regularizer | None], scope: str | None = None
) -> Regularizer | None:
    """Returns the sum of the regularizers that are not None, or None where there is none.

    Args:
      regularizer_list: the regularizers; their penalties may be None.
      scope: name of the op, "sum_regularizer" by default.
    """
    present = [regularizer for regularizer in regularizer_list if regularizer is not None]
    if not present:
        return None

    def summed(weights: tf.Tensor) -> tf.Tensor | None:
        with tf.name_scope(scope or "sum_regularizer") as name:
            penalties = [regularizer(weights) for regularizer in present]
            penalties = [penalty for penalty in penalties if penalty is not None]
            return tf.add_n(penalties, name=name) if penalties else None

    return summed


def apply_regularization(
    regularizer: Regularizer, weights_list: Sequence[tf.Tensor] | None = None
) -> tf.Tensor:
    """Adds the summed penalty of several weights to the losses and returns it, a scalar.

    `slim.losses.get_total_loss` includes it.

    Args:
      regularizer: a function from weights to a scalar, or None for no penalty.
      weights_list: the weights; by default the variables in the collection "weights"
        (`GraphKeys.WEIGHTS`), in which `variables_collections` puts them.

    Raises:
      ValueError: if there are no weights, or the regularizer does not return a scalar.
    """
    from slim.passes import current_pass  # a pass applies regularizers

    one_pass = current_pass()
    weights_list = weights_list or one_pass.store.select(collection=KEYS.WEIGHTS)
    if not weights_list:
        raise ValueError(
            "No weights to regularize: weights_list is empty, and so is the collection "
            f"{KEYS.WEIGHTS!r}. Pass the variables to penalize"
        )
    with tf.name_scope("get_regularization_penalty") as name:
        penalties = [regularizer(weights) for weights in weights_list]
        penalties = [tf.constant(0.0) if p is None else tf.convert_to_tensor(p) for p in penalties]
        for penalty in penalties:
            if penalty.shape.rank != 0:
                raise ValueError(
                    f"a regularizer must return a scalar, not shape {penalty.shape}. Sum its result"
                )
        total = tf.add_n(penalties, name=name)
        one_pass.add_loss(total, KEYS.REGULARIZATION_LOSSES)
    return total


def _scaled(
    op_name: str,
    scale: float | tf.Tensor,
    scope: str | None,
    norm: Callable[[tf.Tensor], tf.Tensor],
) -> Regularizer:
    if not tf.is_tensor(scale):
        if isinstance(scale, numbers.Integral):
            raise ValueError(f"scale cannot be an integer: {scale!r}. Write {float(scale)}")
        if not isinstance(scale, numbers.Real):
            raise ValueError(f"scale={scale!r} must be a number")
        _checks.non_negative(scale=scale)
        if scale == 0.0:
            return no_penalty

    def regularizer(weights: tf.Tensor) -> tf.Tensor:
        if not tf.is_tensor(weights):
            weights = tf.convert_to_tensor(weights)
        with tf.name_scope(scope or op_name) as name:
            factor = tf.convert_to_tensor(scale, weights.dtype.base_dtype, name="scale")
            return tf.multiply(factor, norm(weights), name=name)

    return regularizer


def _is_zero(scale: float | tf.Tensor) -> bool:
    return isinstance(scale, float) and scale == 0.0
