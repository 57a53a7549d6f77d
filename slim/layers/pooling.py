"""Max and average pooling."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from slim import _checks
from slim.arg_scope import add_arg_scope
from slim.layers import _common as common

_OPS = {
    ("MAX", 2): (tf.nn.max_pool2d, "MaxPool"),
    ("AVG", 2): (tf.nn.avg_pool2d, "AvgPool"),
    ("MAX", 3): (tf.nn.max_pool3d, "MaxPool3D"),
    ("AVG", 3): (tf.nn.avg_pool3d, "AvgPool3D"),
}


def _pool(
    inputs: tf.Tensor,
    kind: str,
    dims: int,
    kernel_size: int | Sequence[int],
    stride: int | Sequence[int],
    padding: str,
    data_format: str | None,
    outputs_collections: Any,
    scope: str | None,
) -> tf.Tensor:
    inputs = tf.convert_to_tensor(inputs)
    common.check_rank(inputs, dims + 2, layer=f"{kind.title()}Pool{dims}D")
    op, op_name = _OPS[kind, dims]
    kernel = common.as_tuple(kernel_size, dims, "kernel_size")
    strides = common.as_tuple(stride, dims, "stride")
    default_name = f"{kind.title()}Pool{dims}D"
    padding = common.padding_of(padding)
    common.channels_first(data_format, dims + 2)
    with tf.name_scope(scope or default_name) as name_scope:
        # In three dimensions a transposed result has no name, as in TF-Slim.
        outputs = common.in_supported_format(
            lambda x, layout, name: op(
                x, kernel, strides, padding, layout, name=name if dims == 2 else op_name
            ),
            inputs,
            data_format,
            op_name if dims == 2 else None,
        )
    return common.note_output(outputs_collections, name_scope, scope, default_name, outputs)


@add_arg_scope
def max_pool2d(
    inputs: tf.Tensor,
    kernel_size: int | Sequence[int],
    stride: int | Sequence[int] = 2,
    padding: str = "VALID",
    data_format: str = "NHWC",
    outputs_collections: Any = None,
    scope: str | None = None,
) -> tf.Tensor:
    """Returns the maximum of each window of [batch, height, width, channels].

    Args:
      inputs: images, [batch, height, width, channels] or [batch, channels, height, width].
      kernel_size: window size, one integer or (height, width).
      stride: distance between windows, in pixels.
      padding: "VALID" or "SAME".
      data_format: "NHWC" or "NCHW".
      outputs_collections: collections to which the output is added.
      scope: name of the layer.

    Raises:
      ValueError: for a wrong rank or data format.
    """
    return _pool(
        inputs, "MAX", 2, kernel_size, stride, padding, data_format, outputs_collections, scope
    )


@add_arg_scope
def avg_pool2d(
    inputs: tf.Tensor,
    kernel_size: int | Sequence[int],
    stride: int | Sequence[int] = 2,
    padding: str = "VALID",
    data_format: str = "NHWC",
    outputs_collections: Any = None,
    scope: str | None = None,
) -> tf.Tensor:
    """Returns the mean of each window of [batch, height, width, channels]; see `max_pool2d`.

    Padding is not part of the mean.
    """
    return _pool(
        inputs, "AVG", 2, kernel_size, stride, padding, data_format, outputs_collections, scope
    )


@add_arg_scope
def max_pool3d(
    inputs: tf.Tensor,
    kernel_size: int | Sequence[int],
    stride: int | Sequence[int] = 2,
    padding: str = "VALID",
    data_format: str = "NDHWC",
    outputs_collections: Any = None,
    scope: str | None = None,
) -> tf.Tensor:
    """Returns the maximum of each window of [batch, depth, height, width, channels]."""
    return _pool(
        inputs, "MAX", 3, kernel_size, stride, padding, data_format, outputs_collections, scope
    )


@add_arg_scope
def avg_pool3d(
    inputs: tf.Tensor,
    kernel_size: int | Sequence[int],
    stride: int | Sequence[int] = 2,
    padding: str = "VALID",
    data_format: str = "NDHWC",
    outputs_collections: Any = None,
    scope: str | None = None,
) -> tf.Tensor:
    """Returns the mean of each window of [batch, depth, height, width, channels]."""
    return _pool(
        inputs, "AVG", 3, kernel_size, stride, padding, data_format, outputs_collections, scope
    )


@add_arg_scope
def pool(
    inputs: tf.Tensor,
    kernel_size: int | Sequence[int],
    pooling_type: str,
    padding: str = "VALID",
    data_format: str | None = None,
    dilation_rate: int | Sequence[int] = 1,
    stride: int | Sequence[int] = 1,
    outputs_collections: Any = None,
    scope: str | None = None,
) -> tf.Tensor:
    """Pools over one, two or three spatial dimensions, optionally with dilated windows.

    Args:
      inputs: [batch, *spatial, channels], or [batch, channels, *spatial].
      kernel_size: window size, one integer or one per spatial dimension.
      pooling_type: "MAX" or "AVG".
      padding: "VALID" or "SAME".
      data_format: as for `convolution`.
      dilation_rate: distance between the pixels of a window; above 1, `stride` must be 1 and
        `padding` "VALID".
      stride: distance between windows, in pixels.
      outputs_collections: collections to which the output is added.
      scope: name of the layer.

    Raises:
      ValueError: for a wrong rank, pooling type or data format.
    """
    inputs = tf.convert_to_tensor(inputs)
    common.check_rank(inputs, 3, 4, 5)
    kind = _checks.one_of("pooling_type", pooling_type.upper(), ["AVG", "MAX"])
    dims = inputs.shape.rank - 2
    kernel = common.as_tuple(kernel_size, dims, "kernel_size")
    strides = common.as_tuple(stride, dims, "stride")
    rates = common.as_tuple(dilation_rate, dims, "dilation_rate")
    padding = common.padding_of(padding)
    default_name = f"{kind.lower()}_pool"

    def pooled(x: tf.Tensor, layout: str, name: str | None) -> tf.Tensor:
        return tf.nn.pool(x, kernel, kind, strides, padding, layout, rates, name=name)

    with tf.name_scope(scope or default_name) as name_scope:
        outputs = common.in_supported_format(pooled, inputs, data_format, name_scope)
    return common.note_output(outputs_collections, name_scope, scope, default_name, outputs)
