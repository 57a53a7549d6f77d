"""Two logical CPU devices and an empty default store for the tests of the library."""

import contextlib
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import slim

# Fails if a test module ran an operation at import; `mirrored` then reports it.
with contextlib.suppress(RuntimeError):
    tf.config.set_logical_device_configuration(
        tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
    )


@pytest.fixture(autouse=True)
def _empty_default_store():
    slim.reset_default_store()


class Mode:
    """Runs the same code eagerly or in a plain graph.

    Attributes:
      in_graph: which of the two.
      variables: name -> value after the last run.
    """

    def __init__(self, in_graph: bool) -> None:
        self.in_graph = in_graph
        self.variables: dict[str, np.ndarray] = {}

    def run(self, build, steps: int = 1) -> list[Any]:
        """Returns the values of `build()`, a structure of tensors, at each step: eagerly each in a
        pass of its own, in a graph each with the updates of batch norm."""
        if self.in_graph:
            v1 = tf.compat.v1
            with tf.Graph().as_default(), v1.Session() as session:
                fetches = [build(), v1.get_collection(v1.GraphKeys.UPDATE_OPS)]
                session.run(v1.global_variables_initializer())
                values = [session.run(fetches)[0] for _ in range(steps)]
                self.variables = session.run({v.op.name: v for v in v1.global_variables()})
            return values
        store = slim.VariableStore(seed=1)
        values = []
        for _ in range(steps):
            with store.as_default():
                values.append(tf.nest.map_structure(np.asarray, build()))
        self.variables = {name: v.numpy() for name, v in store.named_variables.items()}
        return values


@pytest.fixture(params=["eager", "graph"])
def mode(request):
    return Mode(request.param == "graph")


@pytest.fixture
def mirrored():
    """Returns a MirroredStrategy over two logical CPU devices."""
    devices = [device.name for device in tf.config.list_logical_devices("CPU")]
    assert len(devices) == 2, f"{devices}: some module runs TensorFlow when it is imported"
    # The default between CPUs, collective operations, keeps state per process: a second strategy
    # on the same devices would use the shapes of the first one.
    return tf.distribute.MirroredStrategy(
        ["CPU:0", "CPU:1"], cross_device_ops=tf.distribute.ReductionToOneDevice()
    )
