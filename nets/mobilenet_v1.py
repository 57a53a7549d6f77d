"""MobileNet v1: depthwise filters alternating with 1x1 convolutions.

Howard et al., "MobileNets: Efficient Convolutional Neural Networks for Mobile Vision Applications",
https://arxiv.org/abs/1704.04861, Table 1.

Differences from the paper, as in the published checkpoints: ReLU6 in place of ReLU, no penalty on
the depthwise filters, and a 1x1 convolution in place of the fully connected layer.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import tensorflow as tf

import slim
from nets._end_points import run_layers
from nets._outputs import conv_logits
from nets._variants import variant
from nets.mobilenet.blocks import fixed_padding, strides_and_rates
from slim import _checks
from slim._shapes import static_sizes


class Conv(NamedTuple):
    """A convolution.

    Attributes:
      kernel: height and width.
      stride: stride in pixels.
      depth: number of filters at a depth multiplier of 1.
    """

    kernel: Sequence[int]
    stride: int
    depth: int


class DepthSepConv(NamedTuple):
    """Depthwise filters with the kernel and the stride, then `depth` filters of 1x1."""

    kernel: Sequence[int]
    stride: int
    depth: int


Row = Conv | DepthSepConv
_K = (3, 3)
MOBILENETV1_CONV_DEFS: tuple[Row, ...] = (
    Conv(_K, 2, 32),  # 112x112
    DepthSepConv(_K, 1, 64),
    DepthSepConv(_K, 2, 128),  # 56x56
    DepthSepConv(_K, 1, 128),
    DepthSepConv(_K, 2, 256),  # 28x28
    DepthSepConv(_K, 1, 256),
    DepthSepConv(_K, 2, 512),  # 14x14
    *[DepthSepConv(_K, 1, 512)] * 5,
    DepthSepConv(_K, 2, 1024),  # 7x7
    DepthSepConv(_K, 1, 1024),
)


def mobilenet_v1_base(
    images: tf.Tensor,
    final_endpoint: str | None = "Conv2d_13_pointwise",
    min_depth: int = 8,
    depth_multiplier: float = 1.0,
    conv_defs: Sequence[Row] | None = None,
    output_stride: int | None = None,
    use_explicit_padding: bool = False,
    scope: Any = None,
) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """Builds the layers up to `final_endpoint`.

    Args:
      images: [batch, height, width, channels].
      final_endpoint: "Conv2d_0", "Conv2d_1_depthwise", "Conv2d_1_pointwise", ...; None: the last.
      min_depth: minimum number of channels of a layer.
      depth_multiplier: factor for the channels of all layers.
      conv_defs: the rows; default: those of the paper's Table 1.
      output_stride: how many times smaller the last maps are than the images: 1, 2, 4, 8, 16 or 32;
        None for the full stride.
      use_explicit_padding: whether to pad by an amount that does not depend on the images' size.
      scope: name of the variables' scope, or a scope.

    Returns:
      The last output, and all outputs by name.

    Raises:
      UserError: if the end point is not known, the multiplier is not positive, or the rows do not
        reach `output_stride`.
      TypeError: if a row is neither a `Conv` nor a `DepthSepConv`.
    """
    _checks.positive(depth_multiplier=depth_multiplier)
    rows = MOBILENETV1_CONV_DEFS if conv_defs is None else conv_defs
    layers: dict[str, Callable[[tf.Tensor], tf.Tensor]] = {}
    steps = strides_and_rates([row.stride for row in rows], output_stride)
    for number, (row, (stride, rate)) in enumerate(zip(rows, steps, strict=True)):
        name = f"Conv2d_{number}"
        depth = max(int(row.depth * depth_multiplier), min_depth)
        filters = functools.partial(
            _filters, row.kernel, stride=stride, rate=rate, explicit=use_explicit_padding
        )
        if isinstance(row, Conv):
            layers[name] = functools.partial(filters, slim.conv2d, depth, name)
        elif isinstance(row, DepthSepConv):
            depthwise, pointwise = f"{name}_depthwise", f"{name}_pointwise"
            layers[depthwise] = functools.partial(filters, slim.separable_conv2d, None, depthwise)
            layers[pointwise] = functools.partial(
                slim.conv2d, num_outputs=depth, kernel_size=[1, 1], scope=pointwise
            )
        else:
            raise TypeError(f"conv_defs[{number}]={row!r} must be a Conv or a DepthSepConv")
    padding = "VALID" if use_explicit_padding else "SAME"
    with (
        slim.variable_scope(scope, "MobilenetV1"),
        slim.arg_scope([slim.conv2d, slim.separable_conv2d], padding=padding),
    ):
        return run_layers(images, layers, final_endpoint or list(layers)[-1])


def _filters(
    kernel: Sequence[int],
    layer: Callable[..., tf.Tensor],
    depth: int | None,
    scope: str,
    net: tf.Tensor,
    *,
    stride: int,
    rate: int,
    explicit: bool,
) -> tf.Tensor:
    if explicit:
        net = fixed_padding(net, kernel, rate)
    return layer(net, depth, kernel, stride=stride, rate=rate, scope=scope)


def mobilenet_v1(
    images: tf.Tensor,
    num_classes: int | None = 1000,
    dropout_keep_prob: float = 0.999,
    is_training: bool = True,
    min_depth: int = 8,
    depth_multiplier: float = 1.0,
    conv_defs: Sequence[Row] | None = None,
    prediction_fn: Callable[..., tf.Tensor] | None = slim.softmax,
    spatial_squeeze: bool = True,
    reuse: Any = None,
    scope: Any = "MobilenetV1",
    global_pool: bool = False,
) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """Builds MobileNet v1.

    Args:
      images: [batch, 224, 224, channels]; other sizes work too, larger ones with `global_pool` or
        without `spatial_squeeze`.
      num_classes: number of classes; 0 or None returns the pooled features.
      dropout_keep_prob: fraction of the features that dropout keeps.
      is_training: whether batch norm and dropout are in training mode.
      min_depth: minimum number of channels of a layer.
      depth_multiplier: factor for the channels of all layers.
      conv_defs: the rows; see `mobilenet_v1_base`.
      prediction_fn: function from logits to probabilities, or None for no predictions.
      spatial_squeeze: whether logits of one position become [batch, num_classes].
      reuse: whether the variables are shared; see `slim.variable_scope`.
      scope: name of the variables' scope.
      global_pool: whether to average over the whole image; otherwise over windows of 7x7.

    Returns:
      Logits [batch, num_classes], or [batch, height, width, num_classes] without `spatial_squeeze`;
      or features [batch, 1, 1, channels]; and the end points by name.

    Raises:
      UserError: if the multiplier is not positive, or `spatial_squeeze` meets more than one
        position.
    """
    with (
        slim.variable_scope(scope, "MobilenetV1", reuse=reuse) as sc,
        slim.arg_scope([slim.batch_norm, slim.dropout], is_training=is_training),
    ):
        # As in TF-Slim, the scope is entered twice, which nests its name in those of operations.
        net, end_points = mobilenet_v1_base(
            images, None, min_depth, depth_multiplier, conv_defs, scope=sc
        )
        with slim.variable_scope("Logits"):
            if global_pool:
                net = tf.reduce_mean(net, [1, 2], keepdims=True, name="global_pool")
            else:
                window = [min(size or 7, 7) for size in static_sizes(net)[1:3]]
                net = slim.avg_pool2d(net, window, padding="VALID", scope="AvgPool_1a")
            end_points["global_pool" if global_pool else "AvgPool_1a"] = net
            if not num_classes:
                return net, end_points
            net = slim.dropout(net, dropout_keep_prob, scope="Dropout_1b")
            logits = conv_logits(net, num_classes, "Conv2d_1c_1x1", spatial_squeeze)
        end_points["Logits"] = logits
        if prediction_fn is not None:
            end_points["Predictions"] = prediction_fn(logits, scope="Predictions")
    return logits, end_points


mobilenet_v1.default_image_size = 224

mobilenet_v1_075 = variant(mobilenet_v1, depth_multiplier=0.75)
mobilenet_v1_050 = variant(mobilenet_v1, depth_multiplier=0.50)
mobilenet_v1_025 = variant(mobilenet_v1, depth_multiplier=0.25)


def mobilenet_v1_arg_scope(
    is_training: bool | None = True,
    weight_decay: float = 0.00004,
    stddev: float = 0.09,
    regularize_depthwise: bool = False,
    batch_norm_decay: float = 0.9997,
    batch_norm_epsilon: float = 0.001,
    normalizer_fn: Callable[..., tf.Tensor] | None = slim.batch_norm,
) -> Any:
    """Returns the scope of MobileNet v1's layers.

    Args:
      is_training: whether batch norm is in training mode; None leaves it to an outer scope. The
        network itself sets it too.
      weight_decay: coefficient of the L2 penalty on the weights.
      stddev: standard deviation of the initial weights.
      regularize_depthwise: whether the depthwise filters are regularized too.
      batch_norm_decay: decay of the moving averages.
      batch_norm_epsilon: added to the variance.
      normalizer_fn: normalizer of each convolution but the last; None for biases.
    """
    batch_norm: dict[str, Any] = {
        "center": True,
        "scale": True,
        "decay": batch_norm_decay,
        "epsilon": batch_norm_epsilon,
    }
    if is_training is not None:
        batch_norm["is_training"] = is_training
    penalty = slim.l2_regularizer(weight_decay)
    with (
        slim.arg_scope(
            [slim.conv2d, slim.separable_conv2d],
            weights_initializer=slim.truncated_normal_initializer(stddev=stddev),
            activation_fn=tf.nn.relu6,
            normalizer_fn=normalizer_fn,
        ),
        slim.arg_scope([slim.batch_norm], **batch_norm),
        slim.arg_scope([slim.conv2d], weights_regularizer=penalty),
        slim.arg_scope(
            [slim.separable_conv2d], weights_regularizer=penalty if regularize_depthwise else None
        ) as scope,
    ):
        return scope
