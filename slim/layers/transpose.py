"""Transposed convolutions, the gradients of convolutions used as layers for upsampling."""

from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from slim.arg_scope import add_arg_scope
from slim.layers import _common as common
from slim.passes import current_pass


def _transposed(
    inputs: tf.Tensor,
    num_outputs: int,
    kernel_size: int | Sequence[int],
    dims: int,
    stride: int | Sequence[int],
    padding: str,
    data_format: str | None,
    layer: common.Layer,
) -> tf.Tensor:
    inputs = tf.convert_to_tensor(inputs)
    common.check_rank(inputs, dims + 2, layer=f"Conv{dims}d_transpose")
    num_outputs = common.whole_number("num_outputs", num_outputs)
    padding = common.padding_of(padding)
    kernel = common.as_tuple(kernel_size, dims, "kernel_size")
    strides = common.as_tuple(stride, dims, "stride")
    channels = common.static_channels(
        inputs, 1 if common.channels_first(data_format, dims + 2) else -1
    )
    with layer.open(f"Conv{dims}d_transpose"):
        weights = layer.weights([*kernel, num_outputs, channels], inputs.dtype, axes=(-2,))
        biases = layer.biases(num_outputs, inputs.dtype)

        def convolve(x: tf.Tensor, layout: str, name: str | None) -> tf.Tensor:
            first = layout.startswith("NC")
            axes = [0, *range(1 + first, 1 + first + dims)]
            batch, *sizes = current_pass().layer_sizes(x, axes, axes[:1] if dims == 2 else axes)
            sizes = [
                _output_size(*each, padding) for each in zip(sizes, kernel, strides, strict=True)
            ]
            shape = [batch, num_outputs, *sizes] if first else [batch, *sizes, num_outputs]
            shape = current_pass().layer_shape(shape) if dims == 2 else tf.stack(shape)
            return tf.nn.conv_transpose(x, weights, shape, strides, padding, layout, name=name)

        name = f"conv{dims}d_transpose"
        outputs = common.in_supported_format(convolve, inputs, data_format, name)
        return layer.finish(outputs, biases, data_format)


def _output_size(size: Any, kernel: int, stride: int, padding: str) -> Any:
    """Returns the smallest output size whose convolution has `size`, as in TF-Slim."""
    size *= stride
    return size + max(kernel - stride, 0) if padding == "VALID" else size


@add_arg_scope
def convolution2d_transpose(
    inputs: tf.Tensor,
    num_outputs: int,
    kernel_size: int | Sequence[int],
    stride: int | Sequence[int] = 1,
    padding: str = "SAME",
    data_format: str = "NHWC",
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
    """Upsamples [batch, height, width, channels] by `stride` with a learned kernel.

    Creates `weights` [height, width, num_outputs, in] and, without a normalizer, `biases`. The
    arguments are those of `convolution`, without `rate`; with "VALID" padding the output is
    `size * stride + max(kernel - stride, 0)`.

    Raises:
      ValueError: for a wrong rank or data format.
    """
    layer = common.Layer(
        activation_fn, normalizer_fn, normalizer_params, weights_initializer, weights_regularizer,
        biases_initializer, biases_regularizer, reuse, variables_collections, outputs_collections,
        trainable, scope,
    )  # fmt: skip
    return _transposed(inputs, num_outputs, kernel_size, 2, stride, padding, data_format, layer)


@add_arg_scope
def convolution3d_transpose(
    inputs: tf.Tensor,
    num_outputs: int,
    kernel_size: int | Sequence[int],
    stride: int | Sequence[int] = 1,
    padding: str = "SAME",
    data_format: str = "NDHWC",
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
    """Upsamples [batch, depth, height, width, channels]; see `convolution2d_transpose`.

    Raises:
      ValueError: for a wrong rank or data format.
    """
    layer = common.Layer(
        activation_fn, normalizer_fn, normalizer_params, weights_initializer, weights_regularizer,
        biases_initializer, biases_regularizer, reuse, variables_collections, outputs_collections,
        trainable, scope,
    )  # fmt: skip
    return _transposed(inputs, num_outputs, kernel_size, 3, stride, padding, data_format, layer)


conv2d_transpose = convolution2d_transpose
conv3d_transpose = convolution3d_transpose
