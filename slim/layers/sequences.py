"""Images as sequences of columns, for recurrent layers, and back."""

from typing import Any

import tensorflow as tf

from slim.arg_scope import add_arg_scope
from slim.layers import _common as common


@add_arg_scope
def images_to_sequence(
    inputs: tf.Tensor,
    data_format: str = "NHWC",
    outputs_collections: Any = None,
    scope: str | None = None,
) -> tf.Tensor:
    """Turns each row of each image into a sequence over its columns.

    Args:
      inputs: [batch, height, width, depth], or [batch, depth, height, width] for "NCHW".
      data_format: "NHWC" or "NCHW".
      outputs_collections: collections to which the output is added.
      scope: name of the layer.

    Returns:
      [width, batch * height, depth].

    Raises:
      ValueError: for an unknown data format.
    """
    if data_format not in ("NHWC", "NCHW"):
        raise ValueError(
            f"data_format has to be either NCHW or NHWC. data_format={data_format!r} is not known"
        )
    with tf.name_scope(scope or "ImagesToSequence") as name_scope:
        inputs = tf.convert_to_tensor(inputs)
        if data_format == "NCHW":
            inputs = tf.transpose(inputs, [0, 2, 3, 1])
        size, static = tf.shape(inputs), inputs.shape
        batch, height = size[0], size[1]
        columns = tf.transpose(inputs, [2, 0, 1, 3])
        width, depth = (static[i] if static[i] is not None else size[i] for i in (2, 3))
        outputs = tf.reshape(columns, [width, batch * height, depth])
        rows = None if None in static[:2] else static[0] * static[1]
        outputs.set_shape([static[2], rows, static[3]])
    return common.note_output(outputs_collections, name_scope, scope, "ImagesToSequence", outputs)


@add_arg_scope
def sequence_to_images(
    inputs: tf.Tensor,
    height: int,
    output_data_format: str = "channels_last",
    outputs_collections: Any = None,
    scope: str | None = None,
) -> tf.Tensor:
    """Turns sequences over columns back into images: the inverse of `images_to_sequence`.

    Args:
      inputs: [width, batch * height, depth], of known width and depth.
      height: of the images.
      output_data_format: "channels_last", or "channels_first" for [batch, depth, height, width].
      outputs_collections: collections to which the output is added.
      scope: name of the layer.

    Returns:
      [batch, height, width, depth].
    """
    with tf.name_scope(scope or "SequenceToImages") as name_scope:
        inputs = tf.convert_to_tensor(inputs)
        common.check_rank(inputs, 3)
        width, rows, depth = inputs.shape
        batch = -1 if rows is None else rows // height
        images = tf.reshape(inputs, [width, batch, height, depth])
        first = output_data_format == "channels_first"
        outputs = tf.transpose(images, [1, 3, 2, 0] if first else [1, 2, 0, 3])
    return common.note_output(outputs_collections, name_scope, scope, "SequenceToImages", outputs)
