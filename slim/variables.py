"""Variables and scopes as a network asks for them, and lists of them as a training script does.

All functions refer to the current store (`slim.VariableStore.as_default`), or else the default one.
"""

import contextlib
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import tensorflow as tf

from slim import _checks, initializers
from slim.arg_scope import add_arg_scope
from slim.regularizers import Regularizer
from slim.scopes import AUTO_REUSE, Reuse, VariableScope
from slim.store import (
    Record,
    VariableStore,
    current_pass,
    current_scope,
    current_store,
    scope_as_current,
)

GLOBAL_STEP = "global_step"


@contextlib.contextmanager
def variable_scope(
    name_or_scope: str | VariableScope | None,
    default_name: str | None = None,
    *,
    reuse: bool | Reuse | None = None,
    initializer: Any = None,
    regularizer: Regularizer | None = None,
) -> Iterator[VariableScope]:
    """Opens a scope: a prefix for the names of the variables created inside.

    Args:
      name_or_scope: a name below the scope in force, a scope saved by `as`, or None.
      default_name: with None, the name to make unique: `Conv`, `Conv_1`, ...
      reuse: see `VariableScope.reuse`; None inherits.
      initializer: default for the variables inside.
      regularizer: default for the variables inside.

    Yields:
      The scope.

    Raises:
      ValueError: without a name and a default name.
    """
    if name_or_scope is None and default_name is None:
        raise ValueError("variable_scope needs a name, a scope or a default_name")
    outer, names = current_scope(), current_pass().names
    again = isinstance(name_or_scope, VariableScope)
    if again:
        name, parent = name_or_scope.name, name_or_scope
        name_scope = name.rpartition("/")[2]
    else:
        leaf = names.unique(outer.name, default_name) if name_or_scope is None else name_or_scope
        name, parent = f"{outer.name}/{leaf}".strip("/"), outer
        name_scope = name_or_scope or default_name
    opened_name_scope = tf.name_scope(name_scope) if name_scope else contextlib.nullcontext("")
    with opened_name_scope as original_name_scope, names.opened(name, again):
        scope = VariableScope(
            name=name,
            reuse=reuse or parent.reuse,
            initializer=initializer or parent.initializer,
            regularizer=regularizer or parent.regularizer,
            original_name_scope=parent.original_name_scope if again else original_name_scope,
        )
        with scope_as_current(scope):
            yield scope


@add_arg_scope
def variable(
    name: str,
    shape: Sequence[int] | None = None,
    dtype: tf.DType = tf.float32,
    initializer: Any = None,
    regularizer: Regularizer | None = None,
    trainable: bool = True,
    collections: Iterable[str] | None = None,
    device: str | Callable[[str], str] | None = None,
    synchronization: tf.VariableSynchronization = tf.VariableSynchronization.AUTO,
    aggregation: tf.VariableAggregation = tf.VariableAggregation.NONE,
) -> tf.Variable:
    """Returns the variable `name` in the current scope, created by the first pass that asks.

    Args:
      name: such as "weights"; the scope's name is its prefix.
      shape: static shape; optional if `initializer` is a value or the variable exists.
      dtype: of its values.
      initializer: a function of (shape, dtype), or a value; None takes the scope's, or else the
        uniform Xavier initializer (zeros for integers).
      regularizer: a function from the variable to a scalar loss; None takes the scope's.
      trainable: whether optimizers change it.
      collections: names under which `get_variables` finds it.
      device: where to place it, or a function from the variable's name to a device.
      synchronization: as in `tf.Variable`, under a distribution strategy.
      aggregation: as in `tf.Variable`, under a distribution strategy.

    Raises:
      ValueError: if this pass has already requested the name and `reuse` is not set, if
        `reuse=True` and there is no such variable, or if it has another shape or dtype.
    """
    return _get(name, shape, dtype, initializer, regularizer, trainable, collections, device,
                synchronization, aggregation, model=False)  # fmt: skip


@add_arg_scope
def model_variable(
    name: str,
    shape: Sequence[int] | None = None,
    dtype: tf.DType = tf.float32,
    initializer: Any = None,
    regularizer: Regularizer | None = None,
    trainable: bool = True,
    collections: Iterable[str] | None = None,
    device: str | Callable[[str], str] | None = None,
    synchronization: tf.VariableSynchronization = tf.VariableSynchronization.AUTO,
    aggregation: tf.VariableAggregation = tf.VariableAggregation.NONE,
) -> tf.Variable:
    """Returns a variable of the network itself, which inference and fine-tuning need.

    Arguments and errors are those of `variable`.
    """
    return _get(name, shape, dtype, initializer, regularizer, trainable, collections, device,
                synchronization, aggregation, model=True)  # fmt: skip


def _get(
    name: str,
    shape: Sequence[int] | None,
    dtype: tf.DType,
    initializer: Any,
    regularizer: Regularizer | None,
    trainable: bool,
    collections: Iterable[str] | None,
    device: str | Callable[[str], str] | None,
    synchronization: tf.VariableSynchronization,
    aggregation: tf.VariableAggregation,
    model: bool,
) -> tf.Variable:
    one_pass, scope = current_pass(), current_scope()
    store = one_pass.store
    full_name = f"{scope.name}/{name}" if scope.name else name
    variable = store.named_variable(full_name)
    _check_reuse(full_name, variable is not None, scope.reuse, full_name in one_pass.requested)
    regularizer = regularizer or scope.regularizer
    dtype = tf.as_dtype(dtype)
    kept = store.kept_dtype(dtype)
    if variable is None:
        record = Record(full_name, model, trainable, regularizer, frozenset(collections or ()))
        initializer = initializer if initializer is not None else scope.initializer
        if initializer is None:
            floating = dtype.is_floating
            initializer = (
                initializers.xavier_initializer() if floating else initializers.zeros_initializer()
            )
        if shape is None and callable(initializer):
            raise ValueError(f"variable {full_name!r} is new and needs a shape")
        device = device(full_name) if callable(device) else device
        variable = store.create(
            record, shape, kept, initializer, device, synchronization, aggregation
        )
    else:
        _check_same(full_name, variable, shape, kept)
    one_pass.requested.setdefault(full_name, variable)
    if regularizer is not None:
        one_pass.regularizers.setdefault(full_name, (variable, regularizer))
    return variable if kept == dtype else tf.cast(variable, dtype)


def _check_reuse(name: str, exists: bool, reuse: bool | Reuse | None, requested: bool) -> None:
    if requested and not reuse:
        raise ValueError(
            f"variable {name!r} was already requested in this pass. To share it, set reuse=True "
            "(or slim.AUTO_REUSE); for another variable, use another scope"
        )
    if not exists and reuse is True:
        known = current_store().named_variables
        hint = _checks.suggest(name, known) or "."
        raise ValueError(f"reuse=True, but there is no variable {name!r} in this store{hint}")


def _check_same(
    name: str, variable: tf.Variable, shape: Sequence[int] | None, dtype: tf.DType
) -> None:
    if shape is not None and not tf.TensorShape(shape).is_compatible_with(variable.shape):
        raise ValueError(
            f"variable {name!r} has shape {tuple(variable.shape)} in this store, "
            f"but {tuple(shape)} was requested; use another scope or another store"
        )
    if dtype != variable.dtype.base_dtype:
        raise ValueError(
            f"variable {name!r} is {variable.dtype.name} in this store,"
            f" but {dtype.name} was requested"
        )


def add_model_variable(var: tf.Variable, name: str | None = None) -> None:
    """Adds a variable created elsewhere to the current store as a model variable.

    Args:
      var: the variable.
      name: its name in the store; its own by default.
    """
    name = name or var.name.split(":")[0]
    current_store().add(Record(name, model=True, trainable=bool(var.trainable)), var)


def get_variables(
    scope: str | VariableScope | None = None,
    suffix: str | None = None,
    collection: str | None = None,
) -> list[tf.Variable]:
    """Returns variables in order of creation.

    Args:
      scope: a regular expression matched at the beginning of the name, or a scope.
      suffix: last part of the name: "weights", or "conv1/weights".
      collection: keep only variables of this collection.
    """
    return _select(
        scope, suffix, lambda record: collection is None or collection in record.collections
    )


def get_model_variables(
    scope: str | VariableScope | None = None, suffix: str | None = None
) -> list[tf.Variable]:
    """Returns the variables of the network, filtered as by `get_variables`."""
    return _select(scope, suffix, lambda record: record.model)


def get_trainable_variables(
    scope: str | VariableScope | None = None, suffix: str | None = None
) -> list[tf.Variable]:
    """Returns the variables that optimizers may change, filtered as by `get_variables`."""
    return _select(scope, suffix, lambda record: record.trainable)


def get_variables_by_suffix(suffix: str, scope: str | None = None) -> list[tf.Variable]:
    """Returns the variables whose name ends in `suffix`."""
    return get_variables(scope=scope, suffix=suffix)


def get_variables_by_name(given_name: str, scope: str | None = None) -> list[tf.Variable]:
    """Returns the variables whose name is `given_name` or ends in `/given_name`."""
    suffix = re.compile(f"(?:.*/)?{re.escape(given_name)}$")
    return [v for v in get_variables(scope) if suffix.match(get_variable_full_name(v))]


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
            raise TypeError(f"{name}={value!r} must be a list or tuple of scopes")
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
      include_patterns: regular expressions; None or empty includes all.
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
        if (not include_patterns or any_of(include_patterns, name))
        and not any_of(exclude_patterns or (), name)
    ]


def get_global_step() -> tf.Variable | None:
    """Returns the current store's step counter, or None if there is none."""
    return current_store().named_variable(GLOBAL_STEP)


def create_global_step() -> tf.Variable:
    """Creates the current store's step counter, an int64 scalar that starts at 0.

    Raises:
      ValueError: if there is one already.
    """
    if get_global_step() is not None:
        raise ValueError("this store has a global step; use get_or_create_global_step")
    return get_or_create_global_step()


def get_or_create_global_step() -> tf.Variable:
    """Returns the current store's step counter, created by the first call."""
    first_replica = tf.VariableAggregation.ONLY_FIRST_REPLICA
    return current_store().state(GLOBAL_STEP, (), tf.int64, aggregation=first_replica)


def _select(
    scope: str | VariableScope | None, suffix: str | None, keep: Callable[[Record], bool]
) -> list[tf.Variable]:
    scope = scope.name if isinstance(scope, VariableScope) else scope
    # As with TensorFlow 1's collections: the scope is matched at the beginning of the name.
    pattern = re.compile(scope) if scope else None
    ending = f"(?:.*/)?{re.escape(suffix)}$" if suffix else None
    store = current_store()
    return [
        store.named_variable(name)
        for name, record in store.records.items()
        if keep(record)
        and (pattern is None or pattern.match(name))
        and (ending is None or re.match(ending, name))
    ]


__all__ = [
    "AUTO_REUSE", "GLOBAL_STEP", "VariableScope", "VariableStore", "add_model_variable",
    "create_global_step", "filter_variables", "get_global_step", "get_model_variables",
    "get_or_create_global_step", "get_trainable_variables", "get_unique_variable",
    "get_variable_full_name", "get_variables", "get_variables_by_name", "get_variables_by_suffix",
    "get_variables_to_restore", "model_variable", "variable", "variable_scope",
]  # fmt: skip
