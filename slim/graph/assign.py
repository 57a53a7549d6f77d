"""Assignment of values and checkpoints to a plain graph's variables, by an op and its feeds.

Values are fed, so that they do not become constants of the graph.
"""

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from slim import _checks
from slim.graph.graph_pass import GraphStore

v1 = tf.compat.v1
_log = logging.getLogger(__name__)
Assignment = tuple[tf.Operation, dict[tf.Tensor, np.ndarray]]
VariableList = Sequence[tf.Variable] | Mapping[str, tf.Variable | Sequence[tf.Variable]]
_name_of = GraphStore().name_of


def from_values(var_names_to_values: Mapping[str, Any]) -> Assignment:
    """Returns the op that assigns arrays to variables, and its feeds.

    Raises:
      ValueError: if a name is unknown, or a value has another number of elements.
    """
    variables = {variable.op.name: variable for variable in v1.global_variables()}
    values: list[tuple[tf.Variable, Any]] = []
    for name, value in var_names_to_values.items():
        if name not in variables:
            hint = _checks.suggest(name, variables) or "."
            raise ValueError(f"Variable {name} wasn't found in the graph{hint}")
        shape = variables[name].shape
        values.append((variables[name], np.asarray(value).reshape(shape)))
    return _assignment(values)


def from_checkpoint(model_path: str, var_list: VariableList, ignore_missing: bool) -> Assignment:
    """Returns the op that assigns a checkpoint's values to variables, and its feeds.

    Raises:
      ValueError: if the checkpoint lacks a variable, unless `ignore_missing`, or a shape differs.
    """
    reader = v1.train.NewCheckpointReader(os.fspath(model_path))
    values = []
    for name, variables in _by_saved_name(var_list).items():
        if _is_missing(reader, name, model_path, ignore_missing):
            continue
        saved = reader.get_tensor(name)
        values += [(variable, _part(name, variable, saved)) for variable in variables]
    return _assignment(values)


def from_checkpoint_fn(
    model_path: str, var_list: VariableList, ignore_missing: bool, reshape: bool
) -> Callable[[v1.Session], None] | None:
    """Returns a function of a session that restores variables, or None if no variable is left.

    Raises:
      ValueError: if `var_list` is empty.
    """
    if not var_list:
        raise ValueError("var_list cannot be empty: there is nothing to assign")
    model_path = os.fspath(model_path)
    if ignore_missing:
        reader = v1.train.NewCheckpointReader(model_path)
        named = var_list
        if not isinstance(var_list, Mapping):
            named = {name: variables[0] for name, variables in _by_saved_name(var_list).items()}
        var_list = {
            name: variable
            for name, variable in named.items()
            if not _is_missing(reader, name, model_path, True)
        }
    if not var_list:
        _log.warning("No variables to restore from %s", model_path)
        return None
    saver = v1.train.Saver(var_list, reshape=reshape)
    return lambda session: saver.restore(session, model_path)


def _by_saved_name(var_list: VariableList) -> dict[str, list[tf.Variable]]:
    """Returns the variables by their name in the checkpoint; partitions share one."""
    if isinstance(var_list, Mapping):
        return {
            name: list(value) if isinstance(value, (list, tuple)) else [value]
            for name, value in var_list.items()
        }
    by_name: dict[str, list[tf.Variable]] = {}
    for variable in var_list:
        by_name.setdefault(_name_of(variable), []).append(variable)
    return by_name


def _is_missing(reader: Any, name: str, model_path: str, ignore: bool) -> bool:
    if reader.has_tensor(name):
        return False
    if not ignore:
        raise ValueError(
            f"Checkpoint is missing variable [{name}]: {model_path}. Pass ignore_missing_vars=True "
            "to skip it"
        )
    _log.warning("Variable %s missing in checkpoint %s", name, model_path)
    return True


def _part(name: str, variable: tf.Variable, saved: np.ndarray) -> np.ndarray:
    """Returns the variable's part of a saved array: all of it, or its partition's."""
    partition = variable._save_slice_info  # TensorFlow has no public way to learn this
    if partition is not None:
        ranges = zip(partition.var_offset, partition.var_shape, strict=True)
        return saved[tuple(slice(start, start + size) for start, size in ranges)]
    if tuple(variable.shape) != saved.shape:
        raise ValueError(
            f"Total size of new array must be unchanged for {name}: the checkpoint has shape "
            f"{list(saved.shape)}, the variable {list(variable.shape)}"
        )
    return saved


def _assignment(values: Sequence[tuple[tf.Variable, np.ndarray]]) -> Assignment:
    ops, feeds = [], {}
    for variable, value in values:
        placeholder = v1.placeholder(
            variable.dtype.base_dtype, variable.shape, f"placeholder/{variable.op.name}"
        )
        ops.append(variable.assign(placeholder))
        feeds[placeholder] = value
    return tf.group(*ops), feeds
