"""Transposed convolutions, which enlarge: the gradient of a convolution used as a layer."""

from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from slim.arg_scope import add_arg_scope
from slim.layers import _common as common
from slim.quantization import quantized_weights
from slim.variables import model_variable, variable_scope


def _transposed(
    inputs: tf.Tensor,
    num_outputs: int,
    kernel_size: int | Sequence[int],
    dims: int,
    default_scope: str,
    stride: int | Sequence[int],
    padding: str,
    data_format: str | None,
    weights_initializer: Any,
    weights_regularizer: Any,
    reuse: Any,
    variables_collections: common.Collections,
    trainable: bool,
    scope: Any,
    **finish: Any,
) -> tf.Tensor:
    inputs = tf.convert_to_tensor(inputs)
    common.check_rank(inputs, dims + 2)
    kernel = common.as_tuple(kernel_size, dims, "kernel_size")
    strides = common.as_tuple(stride, dims, "stride")
    channels = common.static_channels(
        inputs, 1 if common.channels_first(data_format, dims + 2) else -1
    )
    with variable_scope(scope, default_scope, reuse=reuse) as sc:
        weights = model_variable(
            "weights",
            [*kernel, num_outputs, channels],
            inputs.dtype,
            weights_initializer,
            weights_regularizer,
            trainable,
            common.collections_of(variables_collections, "weights"),
        )
        weights = quantized_weights(weights, axes=(-2,))

        def convolve(x: tf.Tensor, layout: str) -> tf.Tensor:
            start = 2 if layout.startswith("NC") else 1
            dynamic, static = tf.shape(x), x.shape
            sizes = [
                _enlarged(static[start + i] or dynamic[start + i], kernel[i], strides[i], padding)
                for i in range(dims)
            ]
            batch = static[0] or dynamic[0]
            shape = [batch, num_outputs, *sizes] if start == 2 else [batch, *sizes, num_outputs]
            name = f"conv{dims}d_transpose"
            return tf.nn.conv_transpose(
                x, weights, tf.stack(shape), strides, padding, layout, name=name
            )

        return common.finish(
            common.in_supported_format(convolve, inputs, data_format),
            sc,
            channels=num_outputs,
            variables_collections=variables_collections,
            trainable=trainable,
            data_format=data_format,
            **finish,
        )


def _enlarged(size: Any, kernel: int, stride: int, padding: str) -> Any:
    """Returns the smallest output whose convolution has `size`, as in TF-Slim."""
    return size * stride + (max(kernel - stride, 0) if padding.upper() == "VALID" else 0)


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
    """Enlarges [batch, height, width, channels] by `stride` with a learned kernel.

    Creates `weights` [height, width, num_outputs, in] and, without a normalizer, `biases`. The
    arguments are those of `convolution`, without a rate; with "VALID" padding the output is
    `size * stride + max(kernel - stride, 0)`.

    Raises:
      ValueError: for a wrong rank or data format.
    """
    return _transposed(
        inputs, num_outputs, kernel_size, 2, "Conv2d_transpose", stride, padding, data_format,
        weights_initializer, weights_regularizer, reuse, variables_collections, trainable, scope,
        activation_fn=activation_fn, normalizer_fn=normalizer_fn,
        normalizer_params=normalizer_params, biases_initializer=biases_initializer,
        biases_regularizer=biases_regularizer, outputs_collections=outputs_collections,
    )  # fmt: skip


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
    """Enlarges [batch, depth, height, width, channels]; see `convolution2d_transpose`.

    Raises:
      ValueError: for a wrong rank or data format.
    """
    return _transposed(
        inputs, num_outputs, kernel_size, 3, "Conv3d_transpose", stride, padding, data_format,
        weights_initializer, weights_regularizer, reuse, variables_collections, trainable, scope,
        activation_fn=activation_fn, normalizer_fn=normalizer_fn,
        normalizer_params=normalizer_params, biases_initializer=biases_initializer,
        biases_regularizer=biases_regularizer, outputs_collections=outputs_collections,
    )  # fmt: skip


conv2d_transpose = convolution2d_transpose
conv3d_transpose = convolution3d_transpose
