"""Functions whose inner tensors are recomputed for the gradients instead of stored.

Chen et al., "Training Deep Nets with Sublinear Memory Cost", https://arxiv.org/abs/1604.06174.
"""

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from slim.layers._replay import Surroundings, pullback, unrecorded

Function = Callable[..., Any]


def recompute_grad(
    fn: Function | None = None, use_data_dep: bool | None = None, tupleize_grads: bool = False
) -> Function:
    """Returns `fn` with less memory and more computation: the gradients run it a second time.

    Also a decorator, with or without arguments. Variables, scopes, arguments of `slim.arg_scope`
    and the dropout of a seeded pass are those of the first run. Outside a plain `tf.Graph`, the
    second run updates no moving averages; a graph forgets its update ops, and needs a
    `slim.variable_scope` around each call if variables are named automatically.

    Args:
      fn: from tensors to a tensor or a tuple of tensors. A parameter `is_recomputing` receives
        whether it is the second run.
      use_data_dep: make the second run wait for the incoming gradients by adding zero to its
        floating inputs; XLA ignores the control dependencies that are used otherwise.
      tupleize_grads: compute all gradients before any of them is used.

    Returns:
      A function of tensors or variables.

    Raises:
      ValueError: if `fn` closes over a tensor or a variable, which would get no gradient.
    """
    if fn is None:
        return functools.partial(
            recompute_grad, use_data_dep=use_data_dep, tupleize_grads=tupleize_grads
        )
    _check_closure(fn)
    tells = "is_recomputing" in inspect.signature(fn).parameters

    def run(is_recomputing: bool, *tensors: tf.Tensor) -> Any:
        return fn(*tensors, **({"is_recomputing": is_recomputing} if tells else {}))

    def wrapped(*args: Any) -> Any:
        if not all(isinstance(arg, (tf.Tensor, tf.Variable)) for arg in args):
            raise ValueError(f"all inputs of a recomputed function must be tensors, but got {args}")
        surroundings = Surroundings()

        @tf.custom_gradient
        def recomputed(*tensors: tf.Tensor) -> Any:
            with unrecorded():
                outputs = run(False, *tensors)

            def gradient(*upstream: tf.Tensor, variables: Sequence[tf.Variable] = ()) -> Any:
                with surroundings.again(), tf.control_dependencies(upstream):
                    inputs = _after(tensors, upstream) if use_data_dep else tensors
                    again = functools.partial(run, True)
                    _, gradients, used = pullback(again, inputs, variables, upstream)
                _check_variables(used, variables)
                if tupleize_grads:
                    gradients = _at_once(gradients, use_data_dep)
                first, rest = gradients[: len(tensors)], gradients[len(tensors) :]
                return (first, rest) if variables else first

            return outputs, gradient

        return recomputed(*map(tf.convert_to_tensor, args))

    is_partial = isinstance(fn, functools.partial)
    return wrapped if is_partial else functools.wraps(fn)(wrapped)


def _check_closure(fn: Function) -> None:
    nonlocals = inspect.getclosurevars(fn).nonlocals if inspect.isfunction(fn) else {}
    for name, value in nonlocals.items():
        if isinstance(value, (tf.Tensor, tf.Variable)):
            raise ValueError(
                f"the recomputed function closes over {name}, which would get no gradient: make it "
                "an input of the function"
            )


def _check_variables(used: set[Any], variables: Sequence[tf.Variable]) -> None:
    if used != {variable.ref() for variable in variables}:
        raise ValueError(
            "the recomputed function used other variables than at first. It was probably called "
            "twice in the same enclosing scope and names its variables automatically: open another "
            "variable_scope for each call"
        )


def _at_once(gradients: Sequence[Any], by_data: bool | None) -> list[Any]:
    """Returns the gradients, none of which is available before all are."""
    present = [each for each in gradients if each is not None]
    ready = iter(_after(present, present) if by_data else tf.tuple(present))
    return [None if each is None else next(ready) for each in gradients]


def _after(tensors: Sequence[tf.Tensor], first: Sequence[tf.Tensor]) -> list[tf.Tensor]:
    """Returns the tensors, the floating ones plus a zero that depends on all of `first`."""
    parts = [tf.cast(tf.reshape(t, [-1])[0], tf.float32) for t in first if t.dtype.is_floating]
    if not parts:
        return list(tensors)
    # Too small to change a sum, and no constant that an optimizer could fold.
    zero = tf.stop_gradient(np.finfo(np.float32).tiny * tf.add_n(parts))
    return [t + tf.cast(zero, t.dtype) if t.dtype.is_floating else t for t in tensors]
