"""The original's `slim.assign_from_*`: the same arguments, and no session to call them with."""

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

_log = logging.getLogger(__name__)


def assign_from_checkpoint(
    model_path: str | os.PathLike[str],
    var_list: Iterable[tf.Variable] | Mapping[str, tf.Variable],
    ignore_missing_vars: bool = False,
    reshape_variables: bool = False,
) -> RestoreReport:
    """Assigns values of a checkpoint to variables, to all or to none, and reports which.

    Args:
      model_path: anything that `slim.checkpoints.find` takes.
      var_list: variables, which go by their own names, or name in the checkpoint -> variable.
      ignore_missing_vars: whether variables that the checkpoint lacks keep their values.
      reshape_variables: whether a value with as many elements in another shape is reshaped.

    Raises:
      UserError: if variables are missing, differ in shape or type, or are none at all.
      RunError: if the checkpoint cannot be read.
    """
    return assign_from_checkpoint_fn(model_path, var_list, ignore_missing_vars, reshape_variables)()


def assign_from_checkpoint_fn(
    model_path: str | os.PathLike[str],
    var_list: Iterable[tf.Variable] | Mapping[str, tf.Variable],
    ignore_missing_vars: bool = False,
    reshape_variables: bool = False,
) -> Callable[[], RestoreReport]:
    """Returns a function without arguments that does what `assign_from_checkpoint` does.

    The checkpoint is looked for at once and read when the function is called.
    """
    variables = dict(var_list) if isinstance(var_list, Mapping) else _by_name(var_list)
    if not variables:
        raise _checks.UserError("var_list is empty: there is nothing to assign")
    prefix = find(model_path)

    def assign() -> RestoreReport:
        reader = Reader(prefix)
        missing = tuple(name for name in variables if name not in reader)
        if missing and (len(missing) == len(variables) or not ignore_missing_vars):
            found = len(variables) - len(missing)
            raise _checks.UserError(
                f"Checkpoint {prefix} has {found} of {len(variables)} variables. Missing: "
                f"{_checks.listed(missing, 5)}"
                + (". Pass ignore_missing_vars=True to leave these as they are" if found else "")
            )
        values = {name: reader.get(name) for name in variables if name in reader}
        _assign_all(values, variables, reshape_variables)
        unused = tuple(name for name in reader.variables() if name not in variables)
        return RestoreReport(prefix, tuple(values), missing, (), unused)

    return assign


def assign_from_values(
    var_names_to_values: Mapping[str, Any], variables: Mapping[str, tf.Variable] | None = None
) -> None:
    """Assigns arrays to variables by name, to all or to none.

    Args:
      var_names_to_values: name -> value.
      variables: name -> variable; None takes those of the current `slim.VariableStore`.

    Raises:
      UserError: if a name is not known, or a shape or type differs.
    """
    if variables is None:
        from slim.store import current_store

        variables = current_store().named_variables
    values = {name: np.asarray(value) for name, value in var_names_to_values.items()}
    for name in values:
        if name not in variables:
            hint = _checks.suggest(name, variables)
            raise _checks.UserError(f"There is no variable {name!r} to assign to{hint}")
    _assign_all(values, variables, reshape=False)


def assign_from_values_fn(
    var_names_to_values: Mapping[str, Any], variables: Mapping[str, tf.Variable] | None = None
) -> Callable[[], None]:
    """Returns a function without arguments that does what `assign_from_values` does."""
    return lambda: assign_from_values(var_names_to_values, variables)


def _by_name(variables: Iterable[tf.Variable]) -> dict[str, tf.Variable]:
    named: dict[str, tf.Variable] = {}
    for variable in variables:
        name = variable.name.partition(":")[0]
        if name in named:
            raise _checks.UserError(f"Two variables of var_list are called {name!r}")
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
