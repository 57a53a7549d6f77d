"""Variables and scopes as a network asks for them, and lists of them as a training script does.

All functions refer to the current store (`slim.VariableStore.as_default`), or else the default one;
in a plain `tf.Graph`, to the graph and its collections.
"""

import contextlib
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import tensorflow as tf

from slim import _checks
from slim.arg_scope import add_arg_scope
from slim.graph import KEYS
from slim.pass_records import Request
from slim.passes import current_pass, current_scope, current_store
from slim.regularizers import Regularizer
from slim.scopes import AUTO_REUSE, VariableScope
from slim.store import GLOBAL_STEP, VariableStore

AUTO = tf.VariableSynchronization.AUTO
NONE = tf.VariableAggregation.NONE


def variable_scope(
    name_or_scope: Any,
    default_name: str | None = None,
    values: Any = None,
    initializer: Any = None,
    regularizer: Regularizer | None = None,
    caching_device: Any = None,
    partitioner: Any = None,
    custom_getter: Any = None,
    reuse: Any = None,
    dtype: Any = None,
    use_resource: bool | None = None,
    constraint: Any = None,
    auxiliary_name_scope: bool = True,
) -> contextlib.AbstractContextManager[VariableScope]:
    """Opens a scope: a prefix for the names of the variables created inside.

    In a plain `tf.Graph` this is TensorFlow 1's `tf.variable_scope`, with all its arguments.

    Args:
      name_or_scope: a name below the scope in force, a scope saved by `as`, or None.
      default_name: with None, the name to make unique: `Conv`, `Conv_1`, ...
      values: tensors whose graph is used; outside a plain graph, without effect.
      initializer: default for the variables inside.
      regularizer: default for the variables inside.
      caching_device: in a plain graph only, as those not described here.
      reuse: see `slim.VariableScope.reuse`; None inherits.
      dtype: default type of the variables inside.

    Returns:
      A context manager of the scope.

    Raises:
      ValueError: without a name and a default name, or for an option that works in a plain graph
        only.
    """
    if name_or_scope is None and default_name is None:
        raise ValueError("variable_scope needs a name, a scope or a default_name")
    options = {
        "values": values,
        "initializer": initializer,
        "regularizer": regularizer,
        "caching_device": caching_device,
        "partitioner": partitioner,
        "custom_getter": custom_getter,
        "reuse": reuse,
        "dtype": dtype,
        "use_resource": use_resource,
        "constraint": constraint,
        "auxiliary_name_scope": auxiliary_name_scope,
    }
    return current_pass().open_scope(name_or_scope, default_name, options)


def get_variable_scope() -> VariableScope:
    """Returns the current variable scope."""
    return current_scope()


@add_arg_scope
def variable(
    name: str,
    shape: Sequence[int] | None = None,
    dtype: Any = None,
    initializer: Any = None,
    regularizer: Regularizer | None = None,
    trainable: bool = True,
    collections: Iterable[str] | None = None,
    caching_device: Any = None,
    device: str | Callable[..., str] | None = None,
    partitioner: Any = None,
    custom_getter: Any = None,
    use_resource: bool | None = None,
    synchronization: tf.VariableSynchronization = AUTO,
    aggregation: tf.VariableAggregation = NONE,
) -> tf.Variable:
    """Returns the variable `name` in the current scope, created by the first pass that asks.

    Args:
      name: such as "weights"; the scope's name is its prefix.
      shape: static shape; optional if `initializer` is a value or the variable exists.
      dtype: of its values; None takes the scope's, or else float32.
      initializer: a function of (shape, dtype), its class, or a value; None takes the scope's, or
        else the uniform Xavier initializer (zeros for integers).
      regularizer: a function from the variable to a scalar loss; None takes the scope's.
      trainable: whether optimizers change it.
      collections: names under which `get_variables` finds it.
      caching_device: where a plain `tf.Graph` caches its value.
      device: where to place it, or a function from the variable's name (in a plain graph, its op)
        to a device.
      partitioner: how a plain graph splits it.
      custom_getter: creates it in a plain graph, in place of TensorFlow 1's `tf.get_variable`.
      use_resource: whether a plain graph makes a resource variable; others always do.
      synchronization: as in `tf.Variable`, under a distribution strategy.
      aggregation: as in `tf.Variable`, under a distribution strategy.

    Raises:
      ValueError: if this pass has already requested the name and `reuse` is not set, if
        `reuse=True` and there is no such variable, if it has another shape or dtype, or for an
        option that works in a plain graph only.
    """
    return current_pass().get_variable(
        Request(
            name, shape, dtype, initializer, regularizer, trainable, collections, caching_device,
            device, partitioner, custom_getter, use_resource, synchronization, aggregation,
            model=False,
        )
    )  # fmt: skip


@add_arg_scope
def model_variable(
    name: str,
    shape: Sequence[int] | None = None,
    dtype: Any = tf.float32,
    initializer: Any = None,
    regularizer: Regularizer | None = None,
    trainable: bool = True,
    collections: Iterable[str] | None = None,
    caching_device: Any = None,
    device: str | Callable[..., str] | None = None,
    partitioner: Any = None,
    custom_getter: Any = None,
    use_resource: bool | None = None,
    synchronization: tf.VariableSynchronization = AUTO,
    aggregation: tf.VariableAggregation = NONE,
) -> tf.Variable:
    """Returns a variable of the network itself, which inference and fine-tuning need.

    Arguments and errors are those of `variable`.
    """
    return current_pass().get_variable(
        Request(
            name, shape, dtype, initializer, regularizer, trainable, collections, caching_device,
            device, partitioner, custom_getter, use_resource, synchronization, aggregation,
            model=True,
        )
    )  # fmt: skip


def local_variable(
    initial_value: Any,
    validate_shape: bool = True,
    name: str | None = None,
    use_resource: bool | None = None,
) -> tf.Variable:
    """Creates a variable that is neither trained nor saved, such as the count of a metric.

    Args:
      initial_value: a tensor or a function that returns one.
      validate_shape: False allows an unknown shape, in a plain `tf.Graph`.
      name: "Variable" by default; made unique.
      use_resource: see `variable`.

    Raises:
      ValueError: for an option that works in a plain graph only.
    """
    return current_pass().new_variable(
        initial_value, validate_shape, name, use_resource, KEYS.LOCAL_VARIABLES
    )


def global_variable(
    initial_value: Any,
    validate_shape: bool = True,
    name: str | None = None,
    use_resource: bool | None = None,
) -> tf.Variable:
    """Creates a variable that is saved but not trained; arguments as in `local_variable`."""
    return current_pass().new_variable(
        initial_value, validate_shape, name, use_resource, KEYS.GLOBAL_VARIABLES
    )


def add_model_variable(var: tf.Variable, name: str | None = None) -> None:
    """Adds a variable created elsewhere to the current store as a model variable.

    Args:
      var: the variable.
      name: its name in the store; its own by default, and always in a plain `tf.Graph`.
    """
    current_store().add_model(var, name)


def get_variables(
    scope: Any = None, suffix: str | None = None, collection: str = KEYS.GLOBAL_VARIABLES
) -> list[tf.Variable]:
    """Returns variables in order of creation.

    Args:
      scope: a regular expression matched at the beginning of the name, or a scope.
      suffix: the end of the name, a regular expression: "weights", "conv1/weights"; it also finds
        "depthwise_weights".
      collection: keep only variables of this collection.
    """
    return current_store().select(getattr(scope, "name", scope), suffix, collection)


def get_model_variables(scope: Any = None, suffix: str | None = None) -> list[tf.Variable]:
    """Returns the variables of the network, filtered as by `get_variables`."""
    return get_variables(scope, suffix, KEYS.MODEL_VARIABLES)


def get_local_variables(scope: Any = None, suffix: str | None = None) -> list[tf.Variable]:
    """Returns the variables that are not saved, filtered as by `get_variables`."""
    return get_variables(scope, suffix, KEYS.LOCAL_VARIABLES)


def get_trainable_variables(scope: Any = None, suffix: str | None = None) -> list[tf.Variable]:
    """Returns the variables that optimizers may change, filtered as by `get_variables`."""
    return get_variables(scope, suffix, KEYS.TRAINABLE_VARIABLES)


def get_variables_by_suffix(suffix: str, scope: Any = None) -> list[tf.Variable]:
    """Returns the variables whose name ends in `suffix`."""
    return get_variables(scope, suffix)


def get_variables_by_name(given_name: str, scope: Any = None) -> list[tf.Variable]:
    """Returns the variables whose name is `given_name` or ends in `/given_name`."""
    pattern = re.compile(f"(?:.*/)?{given_name}$")
    return [v for v in get_variables(scope) if pattern.match(get_variable_full_name(v))]


def get_unique_variable(var_op_name: str) -> tf.Variable:
    """Returns the variable with this full name.

    Raises:
      ValueError: if there is none; the message has the nearest names.
    """
    variable = current_store().named_variable(var_op_name)
    if variable is None:
        hint = _checks.suggest(var_op_name, current_store().named_variables) or "."
        raise ValueError(f"there is no variable {var_op_name!r} in this store{hint}")
    return variable


def get_variable_full_name(var: tf.Variable) -> str:
    """Returns the name of a variable in the current store, or else its own."""
    return current_store().name_of(var) or var.name.split(":")[0]


def get_variables_to_restore(
    include: Sequence[str] | None = None, exclude: Sequence[str] | None = None
) -> list[tf.Variable]:
    """Returns the variables to read from a checkpoint.

    Args:
      include: scopes (regular expressions matched at the beginning); None includes all variables.
      exclude: scopes to exclude.

    Raises:
      TypeError: if either is neither a list, a tuple nor None.
    """
    for name, value in {"include": include, "exclude": exclude}.items():
        if value is not None and not isinstance(value, (list, tuple)):
            raise TypeError(
                f"{name} is provided but is not a list or a tuple of scopes: {name}={value!r}"
            )
    scopes = [None] if include is None else include
    chosen = [v for scope in scopes for v in get_variables(scope)]
    excluded = {id(v) for scope in exclude or () for v in get_variables(scope)}
    return list({id(v): v for v in chosen if id(v) not in excluded}.values())


def filter_variables(
    var_list: Iterable[tf.Variable],
    include_patterns: Sequence[str] | None = None,
    exclude_patterns: Sequence[str] | None = None,
    reg_search: bool = True,
) -> list[tf.Variable]:
    """Returns the variables whose names match one include pattern and no exclude pattern.

    Args:
      var_list: the variables.
      include_patterns: regular expressions; None includes all.
      exclude_patterns: regular expressions.
      reg_search: whether to match anywhere in the name instead of at its beginning.
    """
    matches = re.search if reg_search else re.match

    def any_of(patterns: Sequence[str], name: str) -> bool:
        return any(matches(pattern, name) for pattern in patterns)

    named = [(get_variable_full_name(v), v) for v in var_list]
    return [
        v
        for name, v in named
        if (include_patterns is None or any_of(include_patterns, name))
        and not any_of(exclude_patterns or (), name)
    ]


def assert_global_step(global_step_tensor: tf.Variable) -> None:
    """Checks that a variable can count steps.

    Raises:
      TypeError: if it is not an integer scalar, or no variable.
    """
    dtype = getattr(global_step_tensor, "dtype", None)
    if dtype is None or not tf.as_dtype(dtype).base_dtype.is_integer:
        raise TypeError(f'Existing "global_step" does not have integer type: {dtype}')
    if global_step_tensor.shape.rank not in (0, None):
        raise TypeError(
            f'Existing "global_step" is not scalar: its shape is {global_step_tensor.shape}'
        )


def assert_or_get_global_step(
    graph: tf.Graph | None = None, global_step_tensor: tf.Variable | None = None
) -> tf.Variable | None:
    """Returns `global_step_tensor` after `assert_global_step`, or else `get_global_step(graph)`."""
    if global_step_tensor is None:
        return get_global_step(graph)
    assert_global_step(global_step_tensor)
    return global_step_tensor


def get_global_step(graph: tf.Graph | None = None) -> tf.Variable | None:
    """Returns the step counter of the current store, or of a plain graph; None if there is none."""
    with _in(graph):
        return current_store().global_step(create=False)


def create_global_step(graph: tf.Graph | None = None) -> tf.Variable:
    """Creates the step counter of the current store or of a plain graph, an int64 zero.

    Raises:
      ValueError: if there is one already.
    """
    with _in(graph):
        if get_global_step() is not None:
            raise ValueError(
                '"global_step" already exists in this store; use get_or_create_global_step'
            )
        return get_or_create_global_step()


def get_or_create_global_step(graph: tf.Graph | None = None) -> tf.Variable:
    """Returns the step counter of the current store or of a plain graph, created if needed."""
    with _in(graph):
        return current_store().global_step()


def _in(graph: tf.Graph | None) -> contextlib.AbstractContextManager[Any]:
    return contextlib.nullcontext() if graph is None else graph.as_default()


__all__ = [
    "AUTO_REUSE", "GLOBAL_STEP", "VariableScope", "VariableStore", "add_model_variable",
    "assert_global_step", "assert_or_get_global_step", "create_global_step", "filter_variables",
    "get_global_step", "get_local_variables", "get_model_variables", "get_or_create_global_step",
    "get_trainable_variables", "get_unique_variable", "get_variable_full_name",
    "get_variable_scope", "get_variables", "get_variables_by_name", "get_variables_by_suffix",
    "get_variables_to_restore", "global_variable", "local_variable", "model_variable", "variable",
    "variable_scope",
]  # fmt: skip
