"""Graphs, name scopes and devices: what TF-Slim had in `framework_ops`, and its device chooser."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

__all__ = ["VariableDeviceChooser", "get_graph_from_inputs", "get_name_scope"]


def get_graph_from_inputs(op_input_list: Sequence[Any], graph: tf.Graph | None = None) -> tf.Graph:
    """Returns the graph of the inputs, or the default graph if none of them has one.

    Args:
      op_input_list: tensors, operations and other values.
      graph: the expected graph.

    Raises:
      ValueError: if an input is not from `graph`, or two inputs are from different graphs.
    """
    inputs = [each for each in op_input_list if isinstance(getattr(each, "graph", None), tf.Graph)]
    for each in inputs:
        if graph is not None and each.graph is not graph:
            raise ValueError(f"{each} is not from the passed-in graph. Build both in one graph")
        if each.graph is not inputs[0].graph:
            raise ValueError(
                f"{each} and {inputs[0]} must be from the same graph. Build both in one graph"
            )
    if graph is not None:
        return graph
    return inputs[0].graph if inputs else tf.compat.v1.get_default_graph()


def get_name_scope() -> str:
    """Returns the current name scope, such as "tower/conv1"; empty outside any."""
    with tf.name_scope("inner") as scope:
        return scope.rstrip("/").rpartition("/")[0]


class VariableDeviceChooser:
    """Chooses a device for each variable; a `device` argument of `slim.variable`.

    With parameter servers, the variables go to them in turn.

    Args:
      num_tasks: number of parameter servers; 0 for none.
      job_name: name of their job.
      device_type: such as "CPU" or "GPU".
      device_index: index of the device.
      replica: index of the replica.
    """

    def __init__(
        self,
        num_tasks: int = 0,
        job_name: str = "ps",
        device_type: str = "CPU",
        device_index: int = 0,
        replica: int | None = None,
    ) -> None:
        self._num_tasks = num_tasks
        self._job_name = job_name
        self._device = {
            "device_type": device_type, "device_index": device_index, "replica": replica,
        }  # fmt: skip
        self._next_task = 0

    def __call__(self, op: Any) -> str:
        """Returns the device for the next variable."""
        placed = dict(self._device)
        if self._num_tasks:
            placed |= {"job": self._job_name, "task": self._next_task}
            self._next_task = (self._next_task + 1) % self._num_tasks
        return tf.DeviceSpec(**placed).to_string()
