"""Branches of a graph that are rarely taken."""

from collections.abc import Callable
from typing import Any, TypeVar

import tensorflow as tf

from slim.graph import in_graph

T = TypeVar("T")


def call(function: Callable[..., T], *arguments: Any) -> T:
    """Returns `function(*arguments)`, as a single operation of the graph.

    The operations of a branch take time even when it is not chosen, unless they are in a function
    that is not inlined. A plain graph has no functions, for its older readers.

    Args:
      function: has no variables.
      *arguments: tensors or structures of them; the function must accept other sizes of the same
        rank.
    """
    if in_graph() and not tf.inside_function():
        return function(*arguments)
    traced = tf.function(
        function,
        autograph=False,
        input_signature=tf.nest.map_structure(
            lambda each: tf.TensorSpec([None] * each.shape.rank, each.dtype), arguments
        ),
        experimental_attributes={"_noinline": True, "_tf_data_function": True},
    )
    return traced(*arguments)
