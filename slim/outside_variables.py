"""Variables that a network uses but that are not in its store: a `tf.Variable`, a Keras layer's.

They join the store under their own names, so that they are trained, saved and restored with it.
`tf.compat.v1` is used for the graph that is being traced, which has no other public name.
"""

import gc
import sys
from collections.abc import Callable, Iterable
from typing import Any

import tensorflow as tf

from slim import _checks, parameter_servers
from slim.store import Record, VariableStore

_ADVICE = "Create it once before, outside of the function, or by slim.variable"


def build(store: VariableStore, fn: Callable[..., Any], *specs: Any) -> None:
    """Creates the variables of `fn`, as `store.build`, and adds the others that it uses.

    Args:
      store: the variables.
      fn: a function of tensors.
      *specs: for each argument its `tf.TensorSpec`, or a structure of them.

    Raises:
      UserError: if two variables have the same name, or there are several replicas.
    """
    seen: list[tf.Variable] = []

    def watched(*inputs: Any) -> None:
        # Each variable that is read reports itself to the graph, and, also inside branches and
        # loops, to the tape if it is trainable.
        tf.compat.v1.get_default_graph().watch_variable = seen.append
        with tf.GradientTape() as tape:
            fn(*inputs)
        seen.extend(tape.watched_variables())

    store.build(watched, *specs)
    outside = unknown(store, seen)
    if outside:
        _add(store, outside)


def unknown(store: VariableStore, variables: Iterable[tf.Variable]) -> list[tf.Variable]:
    """Returns those of the variables that are not in the store, each once."""
    context = tf.distribute.get_strategy()
    key: Callable[[Any], int] = id
    if parameter_servers.is_asynchronous(context):
        # The store's variables are wrapped there, but have the handle of what reports itself.
        key = lambda variable: id(variable.handle)  # noqa: E731
    known = {
        key(part)
        for variable in store.named_variables.values()
        for part in (variable, *context.experimental_local_results(variable))
    }
    distinct = {key(variable): variable for variable in variables}
    return [variable for each, variable in distinct.items() if each not in known]


def check_known(store: VariableStore, variables: Iterable[tf.Variable]) -> None:
    """Raises UserError if one of the variables is not in the store."""
    for variable in unknown(store, variables):
        raise _checks.UserError(
            f"the loss function created or first used the variable {_own_name(variable)!r} after"
            f" the variables were collected, so it would not be trained. {_ADVICE}"
        )


def _add(store: VariableStore, variables: Iterable[tf.Variable]) -> None:
    replicas = tf.distribute.get_strategy().num_replicas_in_sync
    paths = _keras_paths()
    for variable in variables:
        name = paths.get(id(variable)) or _own_name(variable)
        if replicas > 1:
            raise _checks.UserError(
                f"the variable {name!r} is not in the store, which {replicas} replicas need."
                " Use slim's layers, or slim.variable"
            )
        if store.named_variable(name) is not None:
            raise _checks.UserError(
                f"two variables are called {name!r}, which a checkpoint cannot tell apart. Pass"
                " each its own name="
            )
        is_model = variable.dtype.is_floating  # moving averages are of the model's variables
        store.add(Record(name, model=is_model, trainable=variable.trainable), variable)


def _own_name(variable: tf.Variable) -> str:
    return variable.name.partition(":")[0].rstrip("/")


def _keras_paths() -> dict[int, str]:
    """Returns the paths of all Keras variables, such as "dense/kernel", by the id of their
    `tf.Variable`, whose own name depends on the graph in which the layer was built."""
    keras = sys.modules.get("keras")
    if keras is None:
        return {}
    # A `tf.Variable` does not know the Keras variable around it.
    variables = [each for each in gc.get_objects() if isinstance(each, keras.Variable)]
    return {id(each.value): each.path for each in variables}
