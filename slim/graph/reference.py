"""Variables of a `slim.VariableStore` inside a plain `tf.Graph`, for writing a GraphDef.

`tf.compat.v1` is used here because a GraphDef that `freeze_graph` and TensorFlow 1's `Saver` can
restore needs reference variables, whose node has the variable's own name; resource variables
make that Saver fail, and TensorFlow 2 has no public way to create reference variables.
"""

from collections.abc import Callable
from typing import Any

import tensorflow as tf


def reference_variable(
    name: str, initial_value: Callable[[], tf.Tensor], trainable: bool
) -> tf.Variable:
    """Returns a reference variable whose node is called `name` in any name scope."""
    with tf.compat.v1.get_default_graph().name_scope(None):
        return tf.compat.v1.Variable(
            initial_value, trainable=trainable, name=name, use_resource=False
        )


def constant(name: str, value: Any) -> tf.Tensor:
    """Returns a constant whose node is called `name` in any name scope."""
    with tf.compat.v1.get_default_graph().name_scope(None):
        return tf.constant(value, name=name)
