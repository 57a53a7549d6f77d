"""Branches of a graph that are rarely taken."""

from collections.abc import Callable

import tensorflow as tf

from slim.graph import in_graph


def call(function: Callable[..., tf.Tensor], *arguments: tf.Tensor) -> tf.Tensor:
    """Returns `function(*arguments)`, as a single operation of the graph.

    The operations of a branch take time even when it is not chosen, unless they are in a function
    that is not inlined. A plain graph has no functions, for its older readers.

    Args:
      function: has no variables.
      *arguments: tensors; the function must accept other sizes of the same rank.
    """
    if in_graph() and not tf.inside_function():
        return function(*arguments)
    traced = tf.function(
        function,
        autograph=False,
        input_signature=[tf.TensorSpec([None] * each.shape.rank, each.dtype) for each in arguments],
        experimental_attributes={"_noinline": True},
    )
    return traced(*arguments)
