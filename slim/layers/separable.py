"""Depthwise, separable and in-plane convolutions, with one filter per channel."""

from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from slim.arg_scope import add_arg_scope
from slim.graph import in_graph
from slim.layers import _common as common
from slim.layers import _half_precision as half_precision
from slim.layers import _matrix_products as matrix_products


@add_arg_scope
def separable_convolution2d(
    inputs: tf.Tensor,
    num_outputs: int | None,
    kernel_size: int | Sequence[int],
    depth_multiplier: int = 1,
    stride: int | Sequence[int] = 1,
    padding: str = "SAME",
    data_format: str = "NHWC",
    rate: int | Sequence[int] = 1,
    activation_fn: common.Activation = tf.nn.relu,
    normalizer_fn: Any = None,
    normalizer_params: Mapping[str, Any] | None = None,
    weights_initializer: Any = common.XAVIER,
    pointwise_initializer: Any = None,
    weights_regularizer: Any = None,
    biases_initializer: Any = common.ZEROS,
    biases_regularizer: Any = None,
    reuse: Any = None,
    variables_collections: common.Collections = None,
    outputs_collections: Any = None,
    trainable: bool = True,
    scope: Any = None,
) -> tf.Tensor:
    """Filters each channel separately, then mixes the channels with a 1x1 convolution.

    Creates `depthwise_weights` [height, width, in, depth_multiplier], with `num_outputs` also
    `pointwise_weights` [1, 1, in * depth_multiplier, num_outputs], and `biases` without a
    normalizer. The other arguments are those of `convolution`.

    Args:
      inputs: [batch, height, width, channels] or [batch, channels, height, width].
      num_outputs: filters of the 1x1 convolution, or None for the depthwise convolution only.
      kernel_size: of the depthwise filters, one integer or (height, width).
      depth_multiplier: depthwise outputs per input channel.
      stride: of the depthwise convolution; TensorFlow's kernels need the same in both directions.
      padding: "SAME" or "VALID".
      data_format: "NHWC" or "NCHW".
      rate: dilation rate of the depthwise filters, in input pixels.
      pointwise_initializer: of the pointwise weights; `weights_initializer` by default.

    Raises:
      ValueError: for a wrong rank, data format, or unequal strides.
    """
    inputs = tf.convert_to_tensor(inputs)
    common.check_rank(inputs, 4, layer="SeparableConv2d")
    if num_outputs is not None:
        num_outputs = common.whole_number("num_outputs", num_outputs)
    depth_multiplier = common.whole_number("depth_multiplier", depth_multiplier)
    padding = common.padding_of(padding)
    kernel, strides = (
        common.as_tuple(kernel_size, 2, "kernel_size"),
        common.as_tuple(stride, 2, "stride"),
    )
    rates = common.as_tuple(rate, 2, "rate")
    if strides[0] != strides[1]:
        raise ValueError(
            f"stride={stride} must be the same in both directions for a depthwise filter"
        )
    first = common.channels_first(data_format, 4)
    channels = common.static_channels(inputs, 1 if first else -1)

    layer = common.Layer(
        activation_fn, normalizer_fn, normalizer_params, weights_initializer, weights_regularizer,
        biases_initializer, biases_regularizer, reuse, variables_collections, outputs_collections,
        trainable, scope, is_core=num_outputs is not None,
    )  # fmt: skip
    with layer.open("SeparableConv2d"):
        depth = channels * depth_multiplier
        depthwise = layer.weights(
            [*kernel, channels, depth_multiplier], inputs.dtype, "depthwise_weights", axes=(-2, -1)
        )
        if num_outputs is not None:
            pointwise = layer.weights(
                [1, 1, depth, num_outputs], inputs.dtype, "pointwise_weights", pointwise_initializer
            )
            biases = layer.biases(num_outputs, inputs.dtype)

        widened = half_precision.widened(inputs)
        filters = tf.cast(depthwise, widened.dtype)

        def convolve(x: tf.Tensor, layout: str, name: str | None) -> tf.Tensor:
            steps = [1, *strides, 1] if layout == "NHWC" else [1, 1, *strides]
            if num_outputs is not None and in_graph():  # one op, with TF-Slim's names
                return tf.nn.separable_conv2d(
                    x, filters, pointwise, steps, padding, layout, rates, name=name
                )
            outputs = tf.nn.depthwise_conv2d(x, filters, steps, padding, layout, rates, name=name)
            if num_outputs is None:
                return outputs
            outputs = tf.cast(outputs, inputs.dtype)
            return matrix_products.convolve(outputs, pointwise, (1, 1), "VALID", layout, (1, 1))

        outputs = common.in_supported_format(convolve, widened, data_format)
        if num_outputs is None:
            biases = layer.biases(depth, inputs.dtype)
            biases = None if biases is None else tf.cast(biases, outputs.dtype)
        dtype = None if widened is inputs else inputs.dtype
        return layer.finish(outputs, biases, data_format, dtype)


@add_arg_scope
def convolution2d_in_plane(
    inputs: tf.Tensor,
    kernel_size: int | Sequence[int],
    stride: int | Sequence[int] = 1,
    padding: str = "SAME",
    activation_fn: common.Activation = tf.nn.relu,
    normalizer_fn: Any = None,
    normalizer_params: Mapping[str, Any] | None = None,
    weights_initializer: Any = common.XAVIER,
    weights_regularizer: Any = None,
    biases_initializer: Any = common.ZEROS,
    biases_regularizer: Any = None,
    reuse: Any = None,
    variables_collections: common.Collections = None,
    outputs_collections: Any = None,
    trainable: bool = True,
    scope: Any = None,
) -> tf.Tensor:
    """Filters every channel with the same kernel, such as a blur or an image gradient.

    Creates `weights` [height, width, 1, 1] and, without a normalizer, `biases` [channels].
    The other arguments are those of `convolution`.

    Args:
      inputs: [batch, height, width, channels].
      kernel_size: of the filter, one integer or (height, width).
      stride: one integer, or one per direction.
      padding: "SAME" or "VALID".

    Raises:
      ValueError: for a wrong rank.
    """
    inputs = tf.convert_to_tensor(inputs)
    common.check_rank(inputs, 4, layer="ConvInPlane")
    padding = common.padding_of(padding)
    kernel, strides = (
        common.as_tuple(kernel_size, 2, "kernel_size"),
        common.as_tuple(stride, 2, "stride"),
    )
    channels = common.static_channels(inputs, -1)
    layer = common.Layer(
        activation_fn, normalizer_fn, normalizer_params, weights_initializer, weights_regularizer,
        biases_initializer, biases_regularizer, reuse, variables_collections, outputs_collections,
        trainable, scope, is_core=False,
    )  # fmt: skip
    with layer.open("ConvInPlane"):
        weights = layer.weights([*kernel, 1, 1], inputs.dtype)
        if strides[0] == strides[1]:
            widened = half_precision.widened(inputs)
            filters = tf.cast(tf.tile(weights, [1, 1, channels, 1]), widened.dtype)
            outputs = tf.nn.depthwise_conv2d(widened, filters, [1, *strides, 1], padding)
            outputs = tf.cast(outputs, inputs.dtype)
        else:  # TensorFlow's depthwise kernels have no such strides.
            outputs = tf.nn.conv2d(
                inputs, weights * tf.eye(channels, dtype=inputs.dtype), strides, padding
            )
        return layer.finish(outputs, layer.biases(channels, inputs.dtype))


separable_conv2d = separable_convolution2d
conv2d_in_plane = convolution2d_in_plane
