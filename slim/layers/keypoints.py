"""Spatial softmax: where in an image each channel is active."""

from typing import Any

import tensorflow as tf

from slim.arg_scope import add_arg_scope
from slim.initializers import ones_initializer
from slim.layers import _common as common
from slim.variables import model_variable, variable_scope


@add_arg_scope
def spatial_softmax(
    features: tf.Tensor,
    temperature: float | None = None,
    name: Any = None,
    variables_collections: common.Collections = None,
    trainable: bool = True,
    data_format: str = "NHWC",
) -> tf.Tensor:
    """Returns the expected position of each channel's activation under a softmax over positions.

    Finn et al., "Deep Spatial Autoencoders for Visuomotor Learning",
    https://arxiv.org/abs/1509.06113. Creates `temperature`, a scalar by which features are divided.

    Args:
      features: [batch, height, width, channels], or [batch, channels, height, width] for "NCHW".
      temperature: initial value; None starts at 1.
      name: name of the layer.
      variables_collections: collections for a trainable temperature.
      trainable: whether optimizers may change the temperature.
      data_format: "NHWC" or "NCHW".

    Returns:
      [batch, 2 * channels]: row and column of each channel, both in [-1, 1].

    Raises:
      ValueError: for an unknown data format or an unknown number of channels.
    """
    if data_format not in ("NHWC", "NCHW"):
        raise ValueError(
            f"data_format has to be either NCHW or NHWC. data_format={data_format!r} is not known"
        )
    with variable_scope(name, "spatial_softmax"):
        features = tf.convert_to_tensor(features)
        common.check_rank(features, 4)
        first = data_format == "NCHW"
        channels = common.static_channels(features, 1 if first else 3)
        shape = tf.shape(features)
        height, width = (shape[axis] for axis in ((2, 3) if first else (1, 2)))
        collections = common.collections_of(variables_collections, "temperature")
        with tf.name_scope("spatial_softmax_op"):
            # `tf.linspace` adds 60 ops for one line.
            lines = [
                tf.raw_ops.LinSpace(start=-1.0, stop=1.0, num=size) for size in (height, width)
            ]
            positions = [
                tf.cast(tf.reshape(position, [height * width]), features.dtype)
                for position in tf.meshgrid(*lines, indexing="ij")
            ]
            divisor = model_variable(
                "temperature",
                shape=(),
                dtype=tf.float32,
                initializer=ones_initializer()
                if temperature is None
                else tf.constant_initializer(temperature),
                collections=collections if trainable else None,
                trainable=trainable,
            )
            if not first:
                features = tf.transpose(features, [0, 3, 1, 2])
            logits = tf.reshape(features, [-1, height * width])
            if logits.dtype != divisor.dtype.base_dtype:
                divisor = tf.cast(divisor, logits.dtype)
            attention = tf.nn.softmax(logits / divisor)
            # Sums, as in TF-Slim, rather than a matrix product: equal bits.
            expected = [
                tf.reduce_sum(position * attention, [1], keepdims=True) for position in positions
            ]
            keypoints = tf.reshape(tf.concat(expected, 1), [-1, 2 * channels])
            keypoints.set_shape([features.shape[0], 2 * channels])
            return keypoints
