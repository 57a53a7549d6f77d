"""Clipping and multipliers of gradients, by the variable's name."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import tensorflow as tf

from slim import _checks

Multipliers = Mapping[str, float] | Callable[[Sequence[str]], Mapping[str, float]]


def clip_gradient_norms(
    gradients: Mapping[str, tf.Tensor], max_norm: float
) -> dict[str, tf.Tensor]:
    """Scales down each gradient whose own Euclidean norm is above `max_norm`."""
    return {name: tf.clip_by_norm(gradient, max_norm) for name, gradient in gradients.items()}


def multiply_gradients(
    gradients: Mapping[str, tf.Tensor], multipliers: Mapping[str, float]
) -> dict[str, tf.Tensor]:
    """Multiplies the gradients of the named variables.

    With gradient descent and momentum this acts as a learning rate per variable; Adam and others
    divide by the size of the gradients and need `learning_rate_multipliers` instead.

    Args:
      gradients: by the variable's name.
      multipliers: by the variable's name.

    Raises:
      ValueError: if a multiplier names no variable that is trained.
    """
    _check_trained("gradient_multipliers", multipliers, gradients)
    return {name: gradient * multipliers.get(name, 1.0) for name, gradient in gradients.items()}


def resolve_multipliers(
    multipliers: Multipliers, trained: Mapping[str, Any]
) -> Mapping[str, float]:
    """Returns the factors of the learning rate, by the variable's name.

    Args:
      multipliers: the factors, or a function from the names of the trained variables to them.
      trained: the trained variables, by name.

    Raises:
      ValueError: if a factor names no variable that is trained.
    """
    multipliers = multipliers(list(trained)) if callable(multipliers) else multipliers
    _check_trained("learning_rate_multipliers", multipliers, trained)
    return multipliers


def _check_trained(argument: str, names: Iterable[str], trained: Iterable[str]) -> None:
    known = dict.fromkeys(trained)
    for name in names:
        if name not in known:
            hint = _checks.suggest(name, known) or "."
            raise ValueError(f"{argument}: {name!r} is not trained{hint}")
