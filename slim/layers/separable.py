"""Depthwise, separable and in-plane convolutions: a filter per channel."""

from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from slim.arg_scope import add_arg_scope
from slim.layers import _common as common
from slim.quantization import quantized_weights
from slim.variables import model_variable, variable_scope


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
    """Filters each channel by itself, then mixes the channels by a 1x1 convolution.

    Creates `depthwise_weights` [height, width, in, depth_multiplier], with `num_outputs` also
    `pointwise_weights` [1, 1, in * depth_multiplier, num_outputs], and `biases` without a
    normalizer.

    Args:
      inputs: [batch, height, width, channels] or as `data_format` says.
      num_outputs: filters of the 1x1 convolution, or None for the depthwise part alone.
      kernel_size: of the depthwise filters.
      depth_multiplier: outputs of the depthwise part per channel.
      stride: of the depthwise part; the kernels of TensorFlow want it equal in both directions.
      padding: "SAME" or "VALID".
      data_format: "NHWC" or "NCHW".
      rate: dilation of the depthwise filters, in input pixels.
      activation_fn: None for a linear output.
      normalizer_fn: such as `slim.batch_norm`; replaces the biases.
      normalizer_params: keyword arguments for it.
      weights_initializer: of the depthwise weights.
      pointwise_initializer: of the pointwise weights; by default the same.
      weights_regularizer: penalty on both weights.
      biases_initializer: None for no biases.
      biases_regularizer: penalty on the biases.
      reuse: whether the scope's variables are shared.
      variables_collections: collections for the variables, a list, or a dict by leaf name.
      outputs_collections: collections to which the output is added.
      trainable: whether optimizers may change the variables.
      scope: name of the layer.

    Raises:
      ValueError: for a wrong rank, data format, or unequal strides.
    """
    inputs = tf.convert_to_tensor(inputs)
    common.check_rank(inputs, 4)
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

    def weights(name: str, shape: Sequence[int], initializer: Any, axes: Sequence[int]) -> Any:
        collections = common.collections_of(variables_collections, name)
        variable = model_variable(
            name, shape, inputs.dtype, initializer, weights_regularizer, trainable, collections
        )
        return quantized_weights(variable, axes)

    with variable_scope(scope, "SeparableConv2d", reuse=reuse) as sc:
        depth = channels * depth_multiplier
        shape = [*kernel, channels, depth_multiplier]
        depthwise = weights("depthwise_weights", shape, weights_initializer, (-2, -1))
        pointwise = None
        if num_outputs is not None:
            initializer = pointwise_initializer or weights_initializer
            shape = [1, 1, depth, num_outputs]
            pointwise = weights("pointwise_weights", shape, initializer, (-1,))

        def convolve(x: tf.Tensor, layout: str) -> tf.Tensor:
            steps = [1, *strides, 1] if layout == "NHWC" else [1, 1, *strides]
            if pointwise is None:
                return tf.nn.depthwise_conv2d(x, depthwise, steps, padding, layout, rates)
            return tf.nn.separable_conv2d(x, depthwise, pointwise, steps, padding, layout, rates)

        return common.finish(
            common.in_supported_format(convolve, inputs, data_format),
            sc,
            channels=depth if num_outputs is None else num_outputs,
            activation_fn=activation_fn,
            normalizer_fn=normalizer_fn,
            normalizer_params=normalizer_params,
            biases_initializer=biases_initializer,
            biases_regularizer=biases_regularizer,
            variables_collections=variables_collections,
            outputs_collections=outputs_collections,
            trainable=trainable,
            data_format=data_format,
        )


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

    Args:
      inputs: [batch, height, width, channels].
      kernel_size: of the one filter.
      stride: one number, or one per direction.
      padding: "SAME" or "VALID".
      activation_fn: None for a linear output.
      normalizer_fn: replaces the biases.
      normalizer_params: keyword arguments for it.
      weights_initializer: of the filter.
      weights_regularizer: penalty on the filter.
      biases_initializer: None for no biases.
      biases_regularizer: penalty on the biases.
      reuse: whether the scope's variables are shared.
      variables_collections: collections for the variables, a list, or a dict by leaf name.
      outputs_collections: collections to which the output is added.
      trainable: whether optimizers may change the variables.
      scope: name of the layer.

    Raises:
      ValueError: for a wrong rank.
    """
    inputs = tf.convert_to_tensor(inputs)
    common.check_rank(inputs, 4)
    kernel, strides = (
        common.as_tuple(kernel_size, 2, "kernel_size"),
        common.as_tuple(stride, 2, "stride"),
    )
    channels = common.static_channels(inputs, -1)
    with variable_scope(scope, "ConvInPlane", reuse=reuse) as sc:
        weights = model_variable(
            "weights",
            [*kernel, 1, 1],
            inputs.dtype,
            weights_initializer,
            weights_regularizer,
            trainable,
            common.collections_of(variables_collections, "weights"),
        )
        weights = quantized_weights(weights)
        # Every channel as an image of its own: unlike a depthwise kernel, this takes any stride.
        images = tf.transpose(inputs, [0, 3, 1, 2])
        shape = tf.shape(images)
        images = tf.reshape(images, tf.concat([[-1], shape[2:], [1]], axis=0))
        images = tf.nn.conv2d(images, weights, strides, padding, name="Conv2D")
        size = tf.shape(images)[1:3]
        outputs = tf.reshape(images, tf.concat([shape[:2], size], axis=0))
        outputs = tf.transpose(outputs, [0, 2, 3, 1])
        outputs.set_shape([inputs.shape[0], None, None, channels])
        return common.finish(
            outputs,
            sc,
            channels=channels,
            activation_fn=activation_fn,
            normalizer_fn=normalizer_fn,
            normalizer_params=normalizer_params,
            biases_initializer=biases_initializer,
            biases_regularizer=biases_regularizer,
            variables_collections=variables_collections,
            outputs_collections=outputs_collections,
            trainable=trainable,
        )


separable_conv2d = separable_convolution2d
conv2d_in_plane = convolution2d_in_plane
