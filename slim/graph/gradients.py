"""Gradients of a plain graph, as lists of (gradient, variable): clipped, scaled and summarized."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import tensorflow as tf

from slim import _checks
from slim.graph import in_graph

Gradient = tf.Tensor | tf.IndexedSlices | None
GradientsAndVariables = list[tuple[Gradient, tf.Variable]]


def clip_gradient_norms(
    gradients_to_variables: Iterable[tuple[Gradient, tf.Variable]], max_norm: float
) -> GradientsAndVariables:
    """Scales down each gradient whose own Euclidean norm is above `max_norm`.

    Args:
      gradients_to_variables: pairs (gradient, variable); a gradient may be None.
      max_norm: maximum norm.
    """
    return [
        (_with_values(gradient, lambda values: tf.clip_by_norm(values, max_norm)), variable)
        for gradient, variable in gradients_to_variables
    ]


def clip_gradient_norms_fn(
    max_norm: float,
) -> Callable[[Iterable[tuple[Gradient, tf.Variable]]], GradientsAndVariables]:
    """Returns `clip_gradient_norms` with this norm, for `transform_grads_fn`."""
    return lambda gradients_to_variables: clip_gradient_norms(gradients_to_variables, max_norm)


def multiply_gradients(
    grads_and_vars: GradientsAndVariables, gradient_multipliers: Mapping[Any, Any]
) -> GradientsAndVariables:
    """Multiplies the gradients of some variables.

    Args:
      grads_and_vars: pairs (gradient, variable).
      gradient_multipliers: factors, numbers or tensors, by variable or by its op's name.

    Raises:
      UserError: if `grads_and_vars` is not a list, or `gradient_multipliers` not a dict with at
        least one item, or a variable to multiply has no gradient.
    """
    if not isinstance(grads_and_vars, list):
        raise _checks.UserError(
            f"grads_and_vars is a {type(grads_and_vars).__name__}. Pass a list of (gradient,"
            " variable) pairs, or a dict of gradients by variable name"
        )
    if not isinstance(gradient_multipliers, Mapping) or not gradient_multipliers:
        raise _checks.UserError(
            f"gradient_multipliers={gradient_multipliers!r} must be a dict with at least one"
            " factor, by variable or variable name"
        )
    return [
        (_multiplied(gradient, variable, gradient_multipliers), variable)
        for gradient, variable in grads_and_vars
    ]


def _multiplied(gradient: Gradient, variable: tf.Variable, factors: Mapping[Any, Any]) -> Gradient:
    key = next((each for each in _keys(variable) if each in factors), None)
    if key is None:
        return gradient
    if gradient is None:
        raise _checks.UserError(
            f"gradient_multipliers: the loss does not depend on {_name(variable)!r}, which has no"
            " gradient to multiply"
        )
    factor = tf.convert_to_tensor(factors[key], dtype=gradient.dtype)
    return _with_values(gradient, lambda values: values * factor)


def _keys(variable: tf.Variable) -> list[Any]:
    """Returns what may stand for a variable in a dict; only those of a graph are hashable."""
    return [variable if in_graph() else variable.ref(), _name(variable)]


def _name(variable: tf.Variable) -> str:
    return variable.name.partition(":")[0]


def _with_values(gradient: Gradient, change: Callable[[tf.Tensor], tf.Tensor]) -> Gradient:
    """Returns the gradient with changed values; of `tf.IndexedSlices`, those that it has."""
    if gradient is None:
        return None
    if isinstance(gradient, tf.IndexedSlices):
        return tf.IndexedSlices(change(gradient.values), gradient.indices, gradient.dense_shape)
    return change(gradient)


def add_gradients_summaries(
    grads_and_vars: Iterable[tuple[Gradient, tf.Variable]], *, separator: str = "/"
) -> list[tf.Tensor]:
    """Adds a histogram and the norm of each gradient to the graph's summaries.

    Args:
      grads_and_vars: pairs (gradient, variable).
      separator: between a variable's name and `gradient` or `gradient_norm`.

    Returns:
      The summaries. Variables without a gradient are logged.
    """
    summaries = []
    for gradient, variable in grads_and_vars:
        name = _name(variable)
        if gradient is None:
            tf.compat.v1.logging.info("no gradient for %s", name)
            continue
        values = gradient.values if isinstance(gradient, tf.IndexedSlices) else gradient
        summaries += [
            tf.compat.v1.summary.histogram(f"{name}{separator}gradient", values),
            tf.compat.v1.summary.scalar(
                f"{name}{separator}gradient_norm", tf.linalg.global_norm([values])
            ),
        ]
    return summaries
