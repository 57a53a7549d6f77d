"""What networks share at their ends: outputs of layers as end points, and logits without space."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import tensorflow as tf

import slim
from slim import _checks


@contextlib.contextmanager
def collected_outputs(
    scope: slim.VariableScope, *layers: Callable[..., Any]
) -> Iterator[dict[str, tf.Tensor]]:
    """Gathers the outputs of all calls of `layers` inside the `with` block.

    Args:
      scope: the network's scope; each call of a network has a collection of its own.
      *layers: functions that take `outputs_collections`.

    Yields:
      The outputs by the full name of their layers' scopes, in order; filled on leaving the block.
    """
    collection = f"{scope.original_name_scope}_end_points"
    outputs: dict[str, tf.Tensor] = {}
    with slim.arg_scope(layers, outputs_collections=collection):
        try:
            yield outputs
        finally:  # cleared even after an error: at a prompt the next call is the same pass
            outputs.update(slim.convert_collection_to_dict(collection, clear_collection=True))


def squeeze_space(logits: tf.Tensor, name: str) -> tf.Tensor:
    """Turns [batch, 1, 1, classes] into [batch, classes].

    Args:
      logits: of a height and width that are 1 or not known yet.
      name: of the operation.

    Raises:
      UserError: if they are known and not 1.
    """
    height, width = logits.shape[1:3]
    if (height or 1) != 1 or (width or 1) != 1:
        raise _checks.UserError(
            f"images of this size give {height} x {width} logits each, which spatial_squeeze=True "
            "cannot make one: use the network's default image size, global_pool=True where it is "
            "offered, or spatial_squeeze=False"
        )
    return tf.squeeze(logits, [1, 2], name=name)
