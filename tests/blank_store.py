"""A store for tests of names and shapes, which computes no initial values."""

from typing import Any

import tensorflow as tf

import slim
from slim import graph


class BlankStore(slim.VariableStore):
    """A store whose variables are zeros, or placeholders in a plain graph.

    Initializers make up three quarters of the ops of a plain graph, and most of the time to build a
    network with large layers.
    """

    def create(
        self, record: Any, shape: Any, dtype: Any, initializer: Any, *rest: Any, **named: Any
    ) -> Any:
        """Creates a variable without calling its initializer, if that is a function."""
        if callable(initializer):
            initializer = _placeholder if graph.in_graph() else tf.zeros
        return super().create(record, shape, dtype, initializer, *rest, **named)


def _placeholder(shape: Any, dtype: Any) -> tf.Tensor:
    return tf.raw_ops.Placeholder(dtype=dtype, shape=shape)
