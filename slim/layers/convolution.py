"""Convolutions in one, two and three dimensions."""

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import tensorflow as tf

from slim.arg_scope import add_arg_scope
from slim.layers import _common as common
from slim.quantization import quantized_weights
from slim.variables import model_variable, variable_scope

_OP_NAMES = {3: "conv1d", 4: "Conv2D", 5: "Conv3D"}


def _convolution(
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
      inputs: [batch, *spatial, channels], or [batch, channels, *spatial] as `data_format` says.
      num_outputs: number of filters.
      kernel_size: one number, or one per spatial dimension.
      stride: likewise; above 1 only where `rate` is 1.
      padding: "SAME" or "VALID".
      data_format: "NWC", "NHWC" or "NDHWC" (default), or "NCW", "NCHW", "NCDHW".
      rate: dilation of the kernel (a trous), in input pixels.
      activation_fn: None for a linear output.
      normalizer_fn: such as `slim.batch_norm`; replaces the biases.
      normalizer_params: keyword arguments for it.
      weights_initializer: initial value of the weights.
      weights_regularizer: penalty on the weights.
      biases_initializer: None for no biases.
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
    common.check_rank(inputs, *ranks)
    dims = inputs.shape.rank - 2
    kernel = common.as_tuple(kernel_size, dims, "kernel_size")
    strides, rates = common.as_tuple(stride, dims, "stride"), common.as_tuple(rate, dims, "rate")
    if max(strides) > 1 and max(rates) > 1:
        raise ValueError(f"stride={stride} and rate={rate}: only one of them may be above 1")
    first = common.channels_first(data_format, dims + 2)
    channels = common.static_channels(inputs, 1 if first else -1)
    with variable_scope(scope, "Conv", reuse=reuse) as sc:
        weights = model_variable(
            "weights",
            [*kernel, channels, num_outputs],
            inputs.dtype,
            weights_initializer,
            weights_regularizer,
            trainable,
            common.collections_of(variables_collections, "weights"),
        )
        weights = quantized_weights(weights)

        def convolve(x: tf.Tensor, layout: str) -> tf.Tensor:
            return tf.nn.convolution(
                x, weights, strides, padding, layout, rates, name=_OP_NAMES[dims + 2]
            )

        return common.finish(
            common.in_supported_format(convolve, inputs, data_format),
            sc,
            channels=num_outputs,
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


def _layer(name: str, dims: int | None, doc: str) -> Callable[..., tf.Tensor]:
    """Returns `_convolution` as a layer of its own, so that arg_scope can tell them apart."""

    @functools.wraps(_convolution)
    def layer(*args: Any, **kwargs: Any) -> tf.Tensor:
        return (
            _convolution(*args, **kwargs)
            if dims is None
            else _convolution(*args, **kwargs, conv_dims=dims)
        )

    signature = inspect.signature(_convolution)
    if dims is not None:
        kept = [p for p in signature.parameters.values() if p.name != "conv_dims"]
        signature = signature.replace(parameters=kept)
        layer.__doc__ = f"{doc} Arguments and errors are those of `convolution`."
    layer.__signature__ = signature
    layer.__name__ = layer.__qualname__ = name
    return add_arg_scope(layer)


convolution = _layer("convolution", None, "")
convolution1d = conv1d = _layer("convolution1d", 1, "Convolves [batch, width, channels].")
convolution2d = conv2d = _layer("convolution2d", 2, "Convolves [batch, height, width, channels].")
convolution3d = conv3d = _layer(
    "convolution3d", 3, "Convolves [batch, depth, height, width, channels]."
)
