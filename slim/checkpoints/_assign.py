"""TF-Slim's `slim.assign_from_*`; in a plain `tf.Graph` they return what a session runs."""

import logging
import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from slim import _checks
from slim.checkpoints._find import find
from slim.checkpoints._reading import Reader
from slim.checkpoints._restore import RestoreReport, same_kind
from slim.graph import in_graph

_log = logging.getLogger(__name__)


def assign_from_checkpoint(
    model_path: str | os.PathLike[str],
    var_list: Iterable[tf.Variable] | Mapping[str, tf.Variable],
    ignore_missing_vars: bool = False,
    *,
    reshape_variables: bool = False,
) -> Any:
    """Assigns the values of a checkpoint to variables: to all, or in case of an error to none.

    In a plain `tf.Graph`, returns `(assign_op, feed_dict)` for a session to run.

    Args:
      model_path: a path that `slim.checkpoints.find` accepts.
      var_list: variables, or name in the checkpoint -> variable.
      ignore_missing_vars: whether variables missing in the checkpoint keep their values.
      reshape_variables: whether to reshape values with the same number of elements; in a plain
        graph, use `assign_from_checkpoint_fn` for that.

    Raises:
      UserError: if there are no variables, or they are missing or differ in shape or type.
      RunError: if the checkpoint cannot be read.
      ValueError: in a plain graph, if variables are missing or differ in shape.
    """
    if in_graph():
        from slim.graph import assign as graph_assign

        if reshape_variables:
            raise ValueError("reshape_variables: use assign_from_checkpoint_fn in a tf.Graph")
        return graph_assign.from_checkpoint(model_path, var_list, ignore_missing_vars)
    return assign_from_checkpoint_fn(model_path, var_list, ignore_missing_vars, reshape_variables)()


def assign_from_checkpoint_fn(
    model_path: str | os.PathLike[str],
    var_list: Iterable[tf.Variable] | Mapping[str, tf.Variable],
    ignore_missing_vars: bool = False,
    reshape_variables: bool = False,
) -> Any:
    """Returns a function that calls `assign_from_checkpoint`.

    The checkpoint is located now and read when the function is called. In a plain `tf.Graph`, the
    function has a session as its argument, and is None where `ignore_missing_vars` leaves nothing.

    Raises:
      UserError: if `var_list` is empty; ValueError in a plain graph.
    """
    if in_graph():
        from slim.graph import assign as graph_assign

        return graph_assign.from_checkpoint_fn(
            model_path, var_list, ignore_missing_vars, reshape_variables
        )
    variables = dict(var_list) if isinstance(var_list, Mapping) else _by_name(var_list)
    if not variables:
        raise _checks.UserError("var_list is empty: there is nothing to assign")
    prefix = find(model_path)

    def assign() -> RestoreReport:
        reader = Reader(prefix)
        missing = tuple(name for name in variables if name not in reader)
        if missing and (len(missing) == len(variables) or not ignore_missing_vars):
            matching = len(variables) - len(missing)
            raise _checks.UserError(
                f"Checkpoint {prefix} has {matching} of {len(variables)} variables. Missing: "
                f"{_checks.listed(missing, 5)}"
                + (". Pass ignore_missing_vars=True to skip these" if matching else "")
            )
        values = {name: reader.get(name) for name in variables if name in reader}
        _assign_all(values, variables, reshape_variables)
        unused = tuple(name for name in reader.variables() if name not in variables)
        return RestoreReport(prefix, tuple(values), missing, (), unused)

    return assign


def assign_from_values(
    var_names_to_values: Mapping[str, Any], variables: Mapping[str, tf.Variable] | None = None
) -> Any:
    """Assigns arrays to variables by name: to all, or in case of an error to none.

    In a plain `tf.Graph`, returns `(assign_op, feed_dict)` for a session to run.

    Args:
      var_names_to_values: name -> value.
      variables: name -> variable; by default those of the current `slim.VariableStore`.

    Raises:
      UserError: if a name is unknown, or a shape or type differs; ValueError in a plain graph.
    """
    if in_graph() and variables is None:
        from slim.graph import assign as graph_assign

        return graph_assign.from_values(var_names_to_values)
    if variables is None:
        from slim.passes import current_store

        variables = current_store().named_variables
    values = {name: np.asarray(value) for name, value in var_names_to_values.items()}
    for name in values:
        if name not in variables:
            hint = _checks.suggest(name, variables)
            raise _checks.UserError(f"There is no variable {name!r} to assign to{hint}")
    _assign_all(values, variables, reshape=False)
    return None


def assign_from_values_fn(
    var_names_to_values: Mapping[str, Any], variables: Mapping[str, tf.Variable] | None = None
) -> Callable[..., Any]:
    """Returns a function that calls `assign_from_values`; of a session in a plain `tf.Graph`."""
    if in_graph() and variables is None:
        operation, feeds = assign_from_values(var_names_to_values)
        return lambda session: session.run(operation, feeds)
    return lambda: assign_from_values(var_names_to_values, variables)


def _by_name(variables: Iterable[tf.Variable]) -> dict[str, tf.Variable]:
    named: dict[str, tf.Variable] = {}
    for variable in variables:
        name = variable.name.partition(":")[0]
        if name in named:
            raise _checks.UserError(f"Two variables of var_list have the name {name!r}")
        named[name] = variable
    return named


def _assign_all(
    values: Mapping[str, np.ndarray], variables: Mapping[str, tf.Variable], reshape: bool
) -> None:
    ready = []
    for name, value in values.items():
        variable, saved = variables[name], tf.as_dtype(value.dtype)
        shape = tuple(variable.shape)
        if value.shape != shape and not (reshape and value.size == variable.shape.num_elements()):
            raise _checks.UserError(
                f"Variable {name!r} has shape {list(shape)}, its value {list(value.shape)}"
            )
        if not same_kind(saved, tf.as_dtype(variable.dtype)):
            raise _checks.UserError(
                f"Variable {name!r} is {variable.dtype.name}, its value {saved.name}"
            )
        ready.append((variable, tf.cast(value.reshape(shape), variable.dtype)))
    for variable, value in ready:
        variable.assign(value)
