"""Shared by the networks: layers' outputs as end points, and logits without spatial dimensions."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import tensorflow as tf

import slim
from slim import _checks
from slim._shapes import static_sizes


@contextlib.contextmanager
def collected_outputs(
    scope: slim.VariableScope, *layers: Callable[..., Any]
) -> Iterator[dict[str, tf.Tensor]]:
    """Collects the outputs of all calls of `layers` inside the `with` block.

    Args:
      scope: the network's scope; each call of a network has its own collection.
      *layers: functions with the argument `outputs_collections`.

    Yields:
      The outputs by the full names of their layers' scopes, in order; filled when the block ends.
    """
    collection = f"{scope.original_name_scope}_end_points"
    outputs: dict[str, tf.Tensor] = {}
    with slim.arg_scope(layers, outputs_collections=collection):
        try:
            yield outputs
        finally:  # clears it after an error too: at a prompt, the next call is in the same pass
            outputs.update(slim.convert_collection_to_dict(collection, clear_collection=True))


def conv_logits(net: tf.Tensor, num_classes: int, scope: str, spatial_squeeze: bool) -> tf.Tensor:
    """Computes logits by a 1 x 1 convolution without activation and normalizer.

    Args:
      net: [batch, height, width, channels].
      num_classes: number of classes.
      scope: name of the convolution.
      spatial_squeeze: whether logits of one position become [batch, num_classes].

    Raises:
      UserError: if `spatial_squeeze` meets more than one position.
    """
    logits = slim.conv2d(
        net, num_classes, [1, 1], activation_fn=None, normalizer_fn=None, scope=scope
    )
    return squeeze_space(logits, "SpatialSqueeze") if spatial_squeeze else logits


def squeeze_space(logits: tf.Tensor, name: str) -> tf.Tensor:
    """Turns [batch, 1, 1, classes] into [batch, classes].

    Args:
      logits: with a height and width of 1, or unknown.
      name: name of the operation.

    Raises:
      UserError: if height or width is known and not 1.
    """
    height, width = static_sizes(logits)[1:3]
    if (height or 1) != 1 or (width or 1) != 1:
        raise _checks.UserError(
            f"images of this size have {height} x {width} logits each, which spatial_squeeze=True "
            "cannot squeeze; use the network's default image size, spatial_squeeze=False or, if "
            "supported, global_pool=True"
        )
    return tf.squeeze(logits, [1, 2], name=name)
