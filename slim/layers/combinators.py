"""Chains of layers: `repeat` and `stack`."""

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from slim.arg_scope import add_arg_scope
from slim.scopes import VariableScope
from slim.variables import variable_scope


@add_arg_scope
def repeat(
    inputs: tf.Tensor, repetitions: int, layer: Callable[..., tf.Tensor], *args: Any, **kwargs: Any
) -> tf.Tensor:
    """Applies a layer several times with the same arguments.

    `slim.repeat(net, 3, slim.conv2d, 256, [3, 3], scope="conv3")` creates the variables of
    `conv3/conv3_1`, `conv3/conv3_2` and `conv3/conv3_3`.

    Args:
      inputs: of the first application.
      repetitions: number of applications.
      layer: a function of (inputs, *args, scope=..., **kwargs).
      *args: for every application.
      **kwargs: for every application; `scope` names the chain.

    Returns:
      The last output.
    """
    return _chain(inputs, layer, [args] * repetitions, kwargs, "Repeat", "repeat")


@add_arg_scope
def stack(
    inputs: tf.Tensor, layer: Callable[..., tf.Tensor], stack_args: Sequence[Any], **kwargs: Any
) -> tf.Tensor:
    """Applies a layer several times with different arguments.

    `slim.stack(net, slim.fully_connected, [32, 64], scope="fc")` makes the variables of `fc/fc_1`
    and `fc/fc_2`.

    Args:
      inputs: of the first application.
      layer: a function of (inputs, *args, scope=..., **kwargs).
      stack_args: the argument of each application, or a list or tuple of them.
      **kwargs: for every application; `scope` names the chain.

    Returns:
      The last output.
    """
    listed = [args if isinstance(args, (list, tuple)) else [args] for args in stack_args]
    return _chain(inputs, layer, listed, kwargs, "Stack", "stack")


def _chain(
    inputs: tf.Tensor,
    layer: Callable[..., tf.Tensor],
    calls: Sequence[Sequence[Any]],
    kwargs: dict[str, Any],
    default_scope: str,
    default_leaf: str,
) -> tf.Tensor:
    scope = kwargs.pop("scope", None)
    with variable_scope(scope, default_scope):
        inner = getattr(layer, "func", layer)  # a functools.partial has its function's name
        outer = scope.name.rpartition("/")[2] if isinstance(scope, VariableScope) else scope
        leaf = outer or getattr(inner, "__name__", default_leaf)
        outputs = tf.convert_to_tensor(inputs)
        for number, args in enumerate(calls, 1):
            outputs = layer(outputs, *args, scope=f"{leaf}_{number}", **kwargs)
        return outputs
