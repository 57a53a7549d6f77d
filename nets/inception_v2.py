"""Inception v2, the network of the batch normalization paper.

Ioffe and Szegedy, "Batch Normalization", https://arxiv.org/abs/1502.03167, appendix, figure 5.

The branch that is 5 x 5 in v1's paper has two 3 x 3 convolutions. The first layer is separable and
has biases but neither batch norm nor weight decay, since the arg_scope of the published checkpoint
did not reach it. The pooling branch averages, except in `Mixed_5c`.
"""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

import slim
from nets._branches import AvgPool, Conv, MaxPool, Mixed, Pool, as_layers, by_name
from nets._end_points import run_layers
from nets.inception_utils import convolutional_head, inception_arg_scope, scaled_depth
from slim import _checks


def _mixed(
    conv1: int,
    reduce3: int,
    conv3: int,
    reduce33: int,
    conv33: int,
    pool_proj: int,
    pool: Callable[..., Pool] = AvgPool,
) -> Mixed:
    """Returns a block; the arguments are the columns of the paper's figure, from #1x1 on."""
    return Mixed(
        [Conv("0a", conv1, 1)],
        [Conv("0a", reduce3, 1, stddev=0.09), Conv("0b", conv3, 3)],
        [Conv("0a", reduce33, 1, stddev=0.09), Conv("0b", conv33, 3), Conv("0c", conv33, 3)],
        [pool("0a", 3), Conv("0b", pool_proj, 1, stddev=0.1)],
    )


def _reduction(reduce3: int, conv3: int, reduce33: int, conv33: int) -> Mixed:
    """Returns a block of stride 2."""
    return Mixed(
        [Conv("0a", reduce3, 1, stddev=0.09), Conv("1a", conv3, 3, stride=2)],
        [
            Conv("0a", reduce33, 1, stddev=0.09),
            Conv("0b", conv33, 3),
            Conv("1a", conv33, 3, stride=2),
        ],
        [MaxPool("1a", 3, stride=2)],
    )


# fmt: off
_FIRST = Conv("1a", 64, 7, stride=2, stddev=1.0)       # 112x112x64
_ROOT = by_name(
    MaxPool("2a", 3, stride=2),                        # 56x56x64
    Conv("2b", 64, 1, stddev=0.1),
    Conv("2c", 192, 3),                                # 56x56x192
    MaxPool("3a", 3, stride=2),                        # 28x28x192
)
_BODY = {
    "Mixed_3b": _mixed(64, 64, 64, 64, 96, 32),        # 28x28x256
    "Mixed_3c": _mixed(64, 64, 96, 64, 96, 64),        # 28x28x320
    "Mixed_4a": _reduction(128, 160, 64, 96),          # 14x14x576
    "Mixed_4b": _mixed(224, 64, 96, 96, 128, 128),
    "Mixed_4c": _mixed(192, 96, 128, 96, 128, 128),
    "Mixed_4d": _mixed(160, 128, 160, 128, 160, 96),
    "Mixed_4e": _mixed(96, 128, 192, 160, 192, 96),
    "Mixed_5a": _reduction(128, 192, 192, 256),        # 7x7x1024
    "Mixed_5b": _mixed(352, 192, 320, 160, 224, 128),
    "Mixed_5c": _mixed(352, 192, 320, 192, 224, 128, pool=MaxPool),
}
# fmt: on


def inception_v2_base(
    inputs: tf.Tensor,
    final_endpoint: str = "Mixed_5c",
    min_depth: int = 16,
    depth_multiplier: float = 1.0,
    use_separable_conv: bool = True,
    data_format: str = "NHWC",
    include_root_block: bool = True,
    scope: Any = None,
) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """Builds Inception v2 up to one of its stages.

    Args:
      inputs: [batch, height, width, channels], or [batch, channels, height, width] for NCHW;
        without the root block, its output.
      final_endpoint: name of the last stage.
      min_depth: minimum number of filters of a convolution.
      depth_multiplier: factor of the number of filters of all convolutions.
      use_separable_conv: whether the first convolution is separable.
      data_format: "NHWC" or "NCHW".
      include_root_block: whether to begin with the stages before `Mixed_3b`.
      scope: name of the variables' scope, `InceptionV2` by default.

    Returns:
      The output of the last stage, and those of all stages by name.

    Raises:
      UserError: if there is no stage `final_endpoint`, `depth_multiplier` is not positive, or
        `data_format` is not known or not supported with `use_separable_conv`.
    """
    depth = scaled_depth(depth_multiplier, min_depth)
    _checks.one_of("data_format", data_format, ["NHWC", "NCHW"])
    if data_format == "NCHW" and use_separable_conv:
        raise _checks.UserError(
            "data_format='NCHW' needs use_separable_conv=False: the separable convolution supports "
            "'NHWC' only"
        )
    axis = 1 if data_format == "NCHW" else 3
    layers = as_layers(_BODY, depth, axis)
    if include_root_block:
        first = _separable_first(depth) if use_separable_conv else as_layers(by_name(_FIRST), depth)
        layers = {**first, **as_layers(_ROOT, depth), **layers}
    with slim.variable_scope(scope, "InceptionV2"):
        layouts = [slim.conv2d, slim.max_pool2d, slim.avg_pool2d]
        with slim.arg_scope(layouts, data_format=data_format):
            return run_layers(inputs, layers, final_endpoint)


def _separable_first(depth: Callable[[int], int]) -> dict[str, Callable[[tf.Tensor], tf.Tensor]]:
    filters = depth(_FIRST.depth)
    # With more than a third of the filters per color, the 1x1 part would only reduce channels.
    per_channel = min(filters // 3, 8)

    def build(net: tf.Tensor) -> tf.Tensor:
        return slim.separable_conv2d(
            net,
            filters,
            _FIRST.kernel,
            depth_multiplier=per_channel,
            stride=_FIRST.stride,
            padding=_FIRST.padding,
            weights_initializer=slim.truncated_normal_initializer(stddev=_FIRST.stddev),
            scope=_FIRST.name,
        )

    return {_FIRST.name: build}


def inception_v2(
    inputs: tf.Tensor,
    num_classes: int | None = 1000,
    is_training: bool = True,
    dropout_keep_prob: float = 0.8,
    min_depth: int = 16,
    depth_multiplier: float = 1.0,
    prediction_fn: Callable[..., tf.Tensor] = slim.softmax,
    spatial_squeeze: bool = True,
    reuse: Any = None,
    scope: Any = "InceptionV2",
    global_pool: bool = False,
) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """Builds Inception v2.

    Args:
      inputs: [batch, height, width, channels], 224 x 224 or less unless `global_pool` is set.
      num_classes: number of classes; 0 or None returns the features before dropout.
      is_training: whether batch norm and dropout are in training mode.
      dropout_keep_prob: fraction of the features that dropout keeps.
      min_depth: minimum number of filters of a convolution.
      depth_multiplier: factor of the number of filters of all convolutions.
      prediction_fn: function from logits to probabilities.
      spatial_squeeze: whether logits of one position become [batch, num_classes].
      reuse: whether the variables are shared; see `slim.variable_scope`.
      scope: name of the variables' scope.
      global_pool: whether to average over the whole image, for images of any size; otherwise over
        7 x 7 positions, so that much larger images result in a map of logits.

    Returns:
      Logits [batch, num_classes], or [batch, height, width, num_classes] without `spatial_squeeze`;
      or features [batch, height, width, channels]; and the end points by name.

    Raises:
      UserError: if `depth_multiplier` is not positive, or `spatial_squeeze` meets more than one
        position.
    """
    with slim.variable_scope(scope, "InceptionV2", reuse=reuse) as sc:
        with slim.arg_scope([slim.batch_norm, slim.dropout], is_training=is_training):
            net, end_points = inception_v2_base(
                inputs, min_depth=min_depth, depth_multiplier=depth_multiplier, scope=sc
            )
            logits = convolutional_head(
                net, end_points, num_classes, 7, global_pool, "global_pool", dropout_keep_prob,
                spatial_squeeze, prediction_fn,
            )  # fmt: skip
    return logits, end_points


inception_v2.default_image_size = 224
inception_v2_arg_scope = inception_arg_scope
