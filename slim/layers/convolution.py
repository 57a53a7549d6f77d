"""Convolutions in one, two and three dimensions."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import tensorflow as tf

from slim.arg_scope import add_arg_scope
from slim.layers import _common as common
from slim.layers import _matrix_products as matrix_products

_OP_NAMES = {3: "Conv1D", 4: "Conv2D", 5: "Conv3D"}


@add_arg_scope
def convolution(
    inputs: tf.Tensor,
    num_outputs: int,
    kernel_size: int | Sequence[int],
    stride: int | Sequence[int] = 1,
    padding: str = "SAME",
    data_format: str | None = None,
    rate: int | Sequence[int] = 1,
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
    conv_dims: int | None = None,
) -> tf.Tensor:
    """Convolves, then normalizes (or adds biases), then activates.

    Creates `weights` [*kernel_size, in, num_outputs] and, without a normalizer, `biases`
    [num_outputs].

    Args:
      inputs: [batch, *spatial, channels], or [batch, channels, *spatial].
      num_outputs: number of filters.
      kernel_size: one integer, or one per spatial dimension.
      stride: likewise; must be 1 if `rate` is above 1.
      padding: "SAME" or "VALID".
      data_format: "NWC", "NHWC" or "NDHWC" (default), or "NCW", "NCHW", "NCDHW".
      rate: dilation rate (atrous convolution), in input pixels.
      activation_fn: activation function; None for a linear output.
      normalizer_fn: normalization function such as `slim.batch_norm`, in place of biases.
      normalizer_params: keyword arguments of `normalizer_fn`.
      weights_initializer: initial value of the weights.
      weights_regularizer: penalty on the weights.
      biases_initializer: initial value of the biases; None for no biases.
      biases_regularizer: penalty on the biases.
      reuse: whether the scope's variables are shared; see `slim.variable_scope`.
      variables_collections: collections for the variables, a list, or a dict by "weights"/"biases".
      outputs_collections: collections to which the output is added under the scope's name.
      trainable: whether optimizers may change the variables.
      scope: name of the layer; `Conv`, `Conv_1`, ... by default.
      conv_dims: the number of spatial dimensions that `inputs` must have.

    Raises:
      ValueError: for a wrong rank, data format, kernel, stride or rate.
    """
    inputs = tf.convert_to_tensor(inputs)
    ranks = (3, 4, 5) if conv_dims is None else (conv_dims + 2,)
    common.check_rank(inputs, *ranks, layer="Convolution")
    num_outputs = common.whole_number("num_outputs", num_outputs)
    padding = common.padding_of(padding)
    dims = inputs.shape.rank - 2
    kernel = common.as_tuple(kernel_size, dims, "kernel_size")
    strides, rates = common.as_tuple(stride, dims, "stride"), common.as_tuple(rate, dims, "rate")
    if max(strides) > 1 and max(rates) > 1:
        raise ValueError(f"stride={stride} and rate={rate}: at most one may be above 1")
    first = common.channels_first(data_format, dims + 2)
    channels = common.static_channels(inputs, 1 if first else -1)
    layer = common.Layer(
        activation_fn, normalizer_fn, normalizer_params, weights_initializer, weights_regularizer,
        biases_initializer, biases_regularizer, reuse, variables_collections, outputs_collections,
        trainable, scope,
    )  # fmt: skip
    with layer.open("Conv"):
        weights = layer.weights([*kernel, channels, num_outputs], inputs.dtype)
        biases = layer.biases(num_outputs, inputs.dtype)

        def convolve(x: tf.Tensor, layout: str, name: str | None) -> tf.Tensor:
            return matrix_products.convolve(x, weights, strides, padding, layout, rates, name)

        outputs = common.in_supported_format(convolve, inputs, data_format, _OP_NAMES[dims + 2])
        return layer.finish(outputs, biases, data_format)


def _add_arg_scope(function: Callable[..., tf.Tensor]) -> Callable[..., tf.Tensor]:
    """Decorates a function with `convolution`'s arguments but for `conv_dims`."""
    signature = inspect.signature(convolution)
    shared = [p for p in signature.parameters.values() if p.name != "conv_dims"]
    function.__signature__ = signature.replace(parameters=shared)
    return add_arg_scope(function)


@_add_arg_scope
def convolution1d(*args: Any, **kwargs: Any) -> tf.Tensor:
    """Convolves [batch, width, channels]; see `convolution`."""
    return _convolution(*args, **kwargs, conv_dims=1)


@_add_arg_scope
def convolution2d(*args: Any, **kwargs: Any) -> tf.Tensor:
    """Convolves [batch, height, width, channels]; see `convolution`."""
    return _convolution(*args, **kwargs, conv_dims=2)


@_add_arg_scope
def convolution3d(*args: Any, **kwargs: Any) -> tf.Tensor:
    """Convolves [batch, depth, height, width, channels]; see `convolution`."""
    return _convolution(*args, **kwargs, conv_dims=3)


_convolution = convolution.__wrapped__  # the scopes of `convolution` do not apply to the others
conv1d, conv2d, conv3d = convolution1d, convolution2d, convolution3d
