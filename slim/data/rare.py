"""Branches of a graph that are rarely taken."""

import functools
from collections.abc import Callable, Hashable
from typing import Any

import tensorflow as tf

from slim.graph import in_graph


def call(
    function: Callable[..., tf.Tensor], *arguments: tf.Tensor, **constants: Hashable
) -> tf.Tensor:
    """Returns `function(*arguments, **constants)`, as a single operation of the graph.

    The operations of a branch take time even when it is not chosen, unless they are in a function
    that is not inlined. A plain graph has no functions, for its older readers.

    Args:
      function: of a module, without variables; it is traced once for all graphs.
      *arguments: tensors; the function must accept other sizes of the same rank.
      **constants: its other arguments.
    """
    if in_graph() and not tf.inside_function():
        return function(*arguments, **constants)
    signature = tuple((each.shape.rank, each.dtype) for each in arguments)
    return _traced(function, signature, tuple(constants.items()))(*arguments)


# Input pipelines are built, and models are exported, several times.
@functools.cache
def _traced(
    function: Callable[..., tf.Tensor],
    signature: tuple[tuple[int, tf.DType], ...],
    constants: tuple[tuple[str, Hashable], ...],
) -> Any:
    return tf.function(
        functools.partial(function, **dict(constants)),
        autograph=False,
        input_signature=[tf.TensorSpec([None] * rank, dtype) for rank, dtype in signature],
        experimental_attributes={"_noinline": True},
    )
