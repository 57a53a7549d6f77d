"""The functions of `tf.layers`, which TensorFlow lacks with Keras 3; variables have their names.

Its classes are not here: a program that uses them needs the package `tf_keras` and the environment
variable `TF_USE_LEGACY_KERAS=1`, with which TensorFlow has a `tf.layers` of its own.
`tf.compat.v1` provides the variables.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from slim._shapes import static_sizes
from slim.layers import _common as common

__all__ = [
    "average_pooling1d", "average_pooling2d", "average_pooling3d", "batch_normalization", "conv1d",
    "conv2d", "conv2d_transpose", "conv3d", "dense", "dropout", "flatten", "max_pooling1d",
    "max_pooling2d", "max_pooling3d",
]  # fmt: skip

v1 = tf.compat.v1
_Activation = Callable[[tf.Tensor], tf.Tensor] | None
_ZEROS = v1.zeros_initializer()
_ONES = v1.ones_initializer()


def dense(
    inputs: tf.Tensor,
    units: int,
    activation: _Activation = None,
    use_bias: bool = True,
    kernel_initializer: Any = None,
    bias_initializer: Any = _ZEROS,
    kernel_regularizer: Any = None,
    bias_regularizer: Any = None,
    trainable: bool = True,
    name: str | None = None,
    reuse: bool | None = None,
) -> tf.Tensor:
    """Multiplies the last axis by a matrix; makes `kernel` and `bias`."""
    with v1.variable_scope(name, "dense", [inputs], reuse=reuse):
        shape = [static_sizes(inputs)[-1], units]
        kernel = v1.get_variable(
            "kernel", shape, inputs.dtype, kernel_initializer, kernel_regularizer, trainable
        )
        product = tf.matmul if inputs.shape.rank == 2 else functools.partial(tf.tensordot, axes=1)
        outputs = product(inputs, kernel)
        return _finish(
            outputs, units, use_bias, bias_initializer, bias_regularizer, trainable, activation
        )


def _convolution(
    rank: int,
    inputs: tf.Tensor,
    filters: int,
    kernel_size: int | Sequence[int],
    strides: int | Sequence[int] = 1,
    padding: str = "valid",
    data_format: str = "channels_last",
    dilation_rate: int | Sequence[int] = 1,
    activation: _Activation = None,
    use_bias: bool = True,
    kernel_initializer: Any = None,
    bias_initializer: Any = _ZEROS,
    kernel_regularizer: Any = None,
    bias_regularizer: Any = None,
    trainable: bool = True,
    name: str | None = None,
    reuse: bool | None = None,
) -> tf.Tensor:
    """Convolves; makes `kernel` and `bias`."""
    _check_channels_last(data_format)
    with v1.variable_scope(name, f"conv{rank}d", [inputs], reuse=reuse):
        shape = [*_each(kernel_size, rank), static_sizes(inputs)[-1], filters]
        kernel = v1.get_variable(
            "kernel", shape, inputs.dtype, kernel_initializer, kernel_regularizer, trainable
        )
        outputs = tf.nn.convolution(
            inputs, kernel, _each(strides, rank), padding.upper(),
            dilations=_each(dilation_rate, rank),
        )  # fmt: skip
        return _finish(
            outputs, filters, use_bias, bias_initializer, bias_regularizer, trainable, activation
        )


def conv2d_transpose(
    inputs: tf.Tensor,
    filters: int,
    kernel_size: int | Sequence[int],
    strides: int | Sequence[int] = (1, 1),
    padding: str = "valid",
    data_format: str = "channels_last",
    activation: _Activation = None,
    use_bias: bool = True,
    kernel_initializer: Any = None,
    bias_initializer: Any = _ZEROS,
    kernel_regularizer: Any = None,
    bias_regularizer: Any = None,
    trainable: bool = True,
    name: str | None = None,
    reuse: bool | None = None,
) -> tf.Tensor:
    """Convolves with the transposed kernel; makes `kernel` [h, w, filters, in] and `bias`."""
    _check_channels_last(data_format)
    window, steps = _each(kernel_size, 2), _each(strides, 2)
    with v1.variable_scope(name, "conv2d_transpose", [inputs], reuse=reuse):
        shape = [*window, filters, static_sizes(inputs)[-1]]
        kernel = v1.get_variable(
            "kernel", shape, inputs.dtype, kernel_initializer, kernel_regularizer, trainable
        )
        grown = [
            size * step + (max(width - step, 0) if padding.lower() == "valid" else 0)
            for size, step, width in zip(tf.unstack(tf.shape(inputs)[1:3]), steps, window,
                                         strict=True)
        ]  # fmt: skip
        outputs = tf.nn.conv2d_transpose(
            inputs, kernel, [tf.shape(inputs)[0], *grown, filters], steps, padding.upper()
        )
        return _finish(
            outputs, filters, use_bias, bias_initializer, bias_regularizer, trainable, activation
        )


def batch_normalization(
    inputs: tf.Tensor,
    axis: int = -1,
    momentum: float = 0.99,
    epsilon: float = 1e-3,
    center: bool = True,
    scale: bool = True,
    beta_initializer: Any = _ZEROS,
    gamma_initializer: Any = _ONES,
    moving_mean_initializer: Any = _ZEROS,
    moving_variance_initializer: Any = _ONES,
    beta_regularizer: Any = None,
    gamma_regularizer: Any = None,
    training: bool | tf.Tensor = False,
    trainable: bool = True,
    name: str | None = None,
    reuse: bool | None = None,
) -> tf.Tensor:
    """Normalizes channels; the updates of its averages are in UPDATE_OPS."""
    rank = inputs.shape.rank
    _check_channels_last("channels_last" if axis in (-1, rank - 1) else "channels_first")
    size = [static_sizes(inputs)[-1]]

    def parameter(leaf: str, initializer: Any, regularizer: Any, learned: bool) -> tf.Variable:
        return v1.get_variable(leaf, size, inputs.dtype, initializer, regularizer, learned)

    with v1.variable_scope(name, "batch_normalization", [inputs], reuse=reuse):
        gamma = (
            parameter("gamma", gamma_initializer, gamma_regularizer, trainable) if scale else None
        )
        beta = parameter("beta", beta_initializer, beta_regularizer, trainable) if center else None
        averages = [
            parameter("moving_mean", moving_mean_initializer, None, False),
            parameter("moving_variance", moving_variance_initializer, None, False),
        ]
        mean, variance = averages
        if training is not False:
            is_training = tf.cast(training, tf.bool)
            batch = tf.nn.moments(inputs, list(range(rank - 1)))
            mean, variance = (
                tf.where(is_training, now, average)
                for now, average in zip(batch, averages, strict=True)
            )
            for average, now in zip(averages, batch, strict=True):
                step = tf.where(is_training, (average - now) * (1 - momentum), 0.0)
                v1.add_to_collection(v1.GraphKeys.UPDATE_OPS, average.assign_sub(step))
        return tf.nn.batch_normalization(inputs, mean, variance, beta, gamma, epsilon)


def _pooling(
    rank: int,
    kind: str,
    inputs: tf.Tensor,
    pool_size: int | Sequence[int],
    strides: int | Sequence[int],
    padding: str = "valid",
    data_format: str = "channels_last",
    name: str | None = None,
) -> tf.Tensor:
    """Pools windows."""
    _check_channels_last(data_format)
    return tf.nn.pool(
        inputs, _each(pool_size, rank), kind, _each(strides, rank), padding.upper(), name=name
    )


def flatten(inputs: tf.Tensor, name: str | None = None) -> tf.Tensor:
    """Flattens to [batch, size]."""
    sizes = static_sizes(inputs)[1:]
    size = -1 if None in sizes else int(tf.TensorShape(sizes).num_elements())
    return tf.reshape(inputs, [tf.shape(inputs)[0], size], name=name)


def dropout(
    inputs: tf.Tensor,
    rate: float = 0.5,
    noise_shape: Any = None,
    seed: int | None = None,
    training: bool | tf.Tensor = False,
    name: str | None = None,
) -> tf.Tensor:
    """Drops values with probability `rate` in training."""
    with v1.variable_scope(name, "dropout"):
        return common.smart_cond(
            training,
            lambda: tf.nn.dropout(inputs, rate, noise_shape, seed),
            lambda: tf.identity(inputs),
        )


def _finish(
    outputs: tf.Tensor,
    units: int,
    use_bias: bool,
    initializer: Any,
    regularizer: Any,
    trainable: bool,
    activation: _Activation,
) -> tf.Tensor:
    if use_bias:
        bias = v1.get_variable("bias", [units], outputs.dtype, initializer, regularizer, trainable)
        outputs = tf.nn.bias_add(outputs, bias, name="BiasAdd")
    return outputs if activation is None else activation(outputs)


def _each(value: int | Sequence[int], rank: int) -> list[int]:
    return [value] * rank if isinstance(value, int) else list(value)


def _check_channels_last(data_format: str) -> None:
    if data_format != "channels_last":
        raise ValueError(
            f"tf.layers: data_format={data_format!r} is not supported. Transpose to channels_last, "
            "or use slim's layers with data_format='NCHW'"
        )


conv1d, conv2d, conv3d = (functools.partial(_convolution, rank) for rank in (1, 2, 3))
max_pooling1d, max_pooling2d, max_pooling3d = (
    functools.partial(_pooling, rank, "MAX") for rank in (1, 2, 3)
)
average_pooling1d, average_pooling2d, average_pooling3d = (
    functools.partial(_pooling, rank, "AVG") for rank in (1, 2, 3)
)
