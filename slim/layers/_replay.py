"""Functions run again during the gradients, with the variables and arguments of the first time."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import tensorflow as tf

from slim.arg_scope import arg_scope, current_arg_scope
from slim.graph import in_graph, replay
from slim.passes import Pass, current_pass, current_scope, pass_as_current

Gradients = list[tf.Tensor | None]


class Surroundings:
    """The scopes and the state of the pass at the time of construction."""

    def __init__(self) -> None:
        one_pass = current_pass()
        self._before = one_pass.copied() if isinstance(one_pass, Pass) else None
        self._scope = current_scope()
        self._arguments = current_arg_scope()

    @contextlib.contextmanager
    def again(self) -> Iterator[None]:
        """Enters them again, to run the same code once more without a change of state."""
        if self._before is None:
            scopes: Any = replay.again(self._scope)
        else:
            scopes = pass_as_current(self._before.copied(), self._scope)
        with scopes, arg_scope(self._arguments):
            yield


def unrecorded() -> contextlib.AbstractContextManager[Any]:
    """Stops all tapes: what is computed inside is not kept for the gradients.

    In a graph nothing is recorded: there the gradients decide what is kept.
    """
    return tf.init_scope() if tf.executing_eagerly() else contextlib.nullcontext()


def pullback(
    fn: Callable[..., Any],
    inputs: Sequence[tf.Tensor],
    variables: Sequence[tf.Variable],
    upstream: Sequence[tf.Tensor],
) -> tuple[list[tf.Tensor], Gradients, set[Any]]:
    """Runs a function and returns its gradients.

    Args:
      fn: from tensors to a tensor or a sequence of them.
      inputs: the tensors.
      variables: the variables of the gradients besides the inputs.
      upstream: the gradients with respect to the outputs.

    Returns:
      The outputs; the gradients with respect to inputs and variables, None where there is none;
      and references to the variables that were used.
    """
    inputs = [tf.identity(each) for each in inputs]
    with tf.GradientTape() as tape:
        tape.watch([each for each in inputs if each.dtype.is_floating or each.dtype.is_complex])
        outputs = tf.nest.flatten(fn(*inputs))
    used = {variable.ref() for variable in tape.watched_variables()}
    sources = [*inputs, *variables]
    if in_graph():  # a tape cannot follow TensorFlow 1's loops and branches
        gradients = tf.gradients(outputs, sources, list(upstream), stop_gradients=inputs)
    else:
        gradients = tape.gradient(outputs, sources, list(upstream))
    return outputs, gradients, used


def total(*gradients: tf.Tensor | None) -> tf.Tensor | None:
    """Returns the sum of the gradients that are not None, or None."""
    dense = [tf.convert_to_tensor(each) for each in gradients if each is not None]
    return tf.add_n(dense) if dense else None
