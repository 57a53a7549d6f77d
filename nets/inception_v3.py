"""Inception v3.

Szegedy et al., "Rethinking the Inception Architecture for Computer Vision",
https://arxiv.org/abs/1512.00567, table 1; the blocks are those of figures 5, 6 and 7, and Mixed_6a
is that of figure 10. In the blocks of figure 5 one branch has a 5 x 5 convolution, not a 3 x 3 one.

Irregular names of the published checkpoint: Mixed_5c/Branch_1 has `Conv2d_0b_1x1` and
`Conv_1_0c_5x5`; the 3 x 3 convolutions with a stride of 2 in Mixed_6a are called `Conv2d_1a_1x1`;
the fork of Branch_1 is 0b and 0b in Mixed_7b, but 0b and 0c in Mixed_7c.
"""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

import slim
from nets._branches import AvgPool, Conv, Fork, MaxPool, Mixed, as_layers, by_name
from nets._end_points import run_layers
from nets._outputs import squeeze_space
from nets.inception_utils import (
    convolutional_head,
    inception_arg_scope,
    pool_for_aux_logits,
    scaled_depth,
    window_that_fits,
)


def _mixed_35(
    pool_proj: int,
    reduce5: Conv = Conv("0a", 48, 1),  # noqa: B008 (a tuple, never changed)
    conv5: Conv = Conv("0b", 64, 5),  # noqa: B008
) -> Mixed:
    return Mixed(
        [Conv("0a", 64, 1)],
        [reduce5, conv5],
        [Conv("0a", 64, 1), Conv("0b", 96, 3), Conv("0c", 96, 3)],
        [AvgPool("0a", 3), Conv("0b", pool_proj, 1)],
    )


def _mixed_17(depth: int) -> Mixed:
    return Mixed(
        [Conv("0a", 192, 1)],
        [Conv("0a", depth, 1), Conv("0b", depth, (1, 7)), Conv("0c", 192, (7, 1))],
        [
            Conv("0a", depth, 1),
            Conv("0b", depth, (7, 1)),
            Conv("0c", depth, (1, 7)),
            Conv("0d", depth, (7, 1)),
            Conv("0e", 192, (1, 7)),
        ],
        [AvgPool("0a", 3), Conv("0b", 192, 1)],
    )


def _mixed_8(place_of_3x1: str) -> Mixed:
    return Mixed(
        [Conv("0a", 320, 1)],
        [
            Conv("0a", 384, 1),
            Fork(Conv("0b", 384, (1, 3)), Conv(place_of_3x1, 384, (3, 1))),
        ],
        [
            Conv("0a", 448, 1),
            Conv("0b", 384, 3),
            Fork(Conv("0c", 384, (1, 3)), Conv("0d", 384, (3, 1))),
        ],
        [AvgPool("0a", 3), Conv("0b", 192, 1)],
    )


_HALF = {"stride": 2, "padding": "VALID"}

# fmt: off
_TABLE = {
    **by_name(
        Conv("1a", 32, 3, **_HALF),             # 149x149x32
        Conv("2a", 32, 3, padding="VALID"),     # 147x147x32
        Conv("2b", 64, 3),                      # 147x147x64
        MaxPool("3a", 3, **_HALF),              # 73x73x64
        Conv("3b", 80, 1),                      # 73x73x80
        Conv("4a", 192, 3, padding="VALID"),    # 71x71x192
        MaxPool("5a", 3, **_HALF),              # 35x35x192
    ),
    "Mixed_5b": _mixed_35(32),                  # 35x35x256
    "Mixed_5c": _mixed_35(                      # 35x35x288
        64, reduce5=Conv("0b", 48, 1), conv5=Conv("0c", 64, 5, scope="Conv_1_0c_5x5")
    ),
    "Mixed_5d": _mixed_35(64),
    "Mixed_6a": Mixed(                          # 17x17x768
        [Conv("1a", 384, 3, **_HALF, scope="Conv2d_1a_1x1")],
        [Conv("0a", 64, 1), Conv("0b", 96, 3), Conv("1a", 96, 3, **_HALF, scope="Conv2d_1a_1x1")],
        [MaxPool("1a", 3, **_HALF)],
    ),
    "Mixed_6b": _mixed_17(128),
    "Mixed_6c": _mixed_17(160),
    "Mixed_6d": _mixed_17(160),
    "Mixed_6e": _mixed_17(192),
    "Mixed_7a": Mixed(                          # 8x8x1280
        [Conv("0a", 192, 1), Conv("1a", 320, 3, **_HALF)],
        [Conv("0a", 192, 1), Conv("0b", 192, (1, 7)), Conv("0c", 192, (7, 1)),
         Conv("1a", 192, 3, **_HALF)],
        [MaxPool("1a", 3, **_HALF)],
    ),
    "Mixed_7b": _mixed_8(place_of_3x1="0b"),    # 8x8x2048
    "Mixed_7c": _mixed_8(place_of_3x1="0c"),
}
# fmt: on


def inception_v3_base(
    inputs: tf.Tensor,
    final_endpoint: str = "Mixed_7c",
    min_depth: int = 16,
    depth_multiplier: float = 1.0,
    scope: Any = None,
) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """Builds Inception v3 up to one of its stages.

    Args:
      inputs: [batch, height, width, channels], of 75 x 75 or more for all stages.
      final_endpoint: name of the last stage.
      min_depth: minimum number of filters of a convolution.
      depth_multiplier: factor of the number of filters of all convolutions.
      scope: name of the variables' scope, `InceptionV3` by default.

    Returns:
      The output of the last stage, and those of all stages by name.

    Raises:
      UserError: if there is no stage `final_endpoint`, or `depth_multiplier` is not positive.
    """
    depth = scaled_depth(depth_multiplier, min_depth)
    with slim.variable_scope(scope, "InceptionV3"):
        return run_layers(inputs, as_layers(_TABLE, depth), final_endpoint)


def inception_v3(
    inputs: tf.Tensor,
    num_classes: int | None = 1000,
    is_training: bool = True,
    dropout_keep_prob: float = 0.8,
    min_depth: int = 16,
    depth_multiplier: float = 1.0,
    prediction_fn: Callable[..., tf.Tensor] = slim.softmax,
    spatial_squeeze: bool = True,
    reuse: Any = None,
    create_aux_logits: bool = True,
    scope: Any = "InceptionV3",
    global_pool: bool = False,
) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """Builds Inception v3.

    Args:
      inputs: [batch, height, width, channels], 299 x 299 or less unless `global_pool` is set; with
        the auxiliary logits at least 107 x 107.
      num_classes: number of classes; 0 or None returns the features before dropout.
      is_training: whether batch norm and dropout are in training mode.
      dropout_keep_prob: fraction of the features that dropout keeps.
      min_depth: minimum number of filters of a convolution.
      depth_multiplier: factor of the number of filters of all convolutions.
      prediction_fn: function from logits to probabilities.
      spatial_squeeze: whether logits of one position become [batch, num_classes].
      reuse: whether the variables are shared; see `slim.variable_scope`.
      create_aux_logits: whether to add the auxiliary classifier, in inference too.
      scope: name of the variables' scope.
      global_pool: whether to average over the whole image, for images of any size; otherwise over
        8 x 8 positions, so that much larger images result in a map of logits.

    Returns:
      Logits [batch, num_classes], or [batch, height, width, num_classes] without `spatial_squeeze`;
      or features [batch, height, width, channels]; and the end points by name.

    Raises:
      UserError: if `depth_multiplier` is not positive, the images are too small for the auxiliary
        logits, or `spatial_squeeze` meets more than one position.
    """
    with slim.variable_scope(scope, "InceptionV3", reuse=reuse) as sc:
        with slim.arg_scope([slim.batch_norm, slim.dropout], is_training=is_training):
            net, end_points = inception_v3_base(
                inputs, min_depth=min_depth, depth_multiplier=depth_multiplier, scope=sc
            )
            if create_aux_logits and num_classes:
                depth = scaled_depth(depth_multiplier, min_depth)
                end_points["AuxLogits"] = _aux_logits(
                    end_points["Mixed_6e"], num_classes, depth, spatial_squeeze
                )
            logits = convolutional_head(
                net, end_points, num_classes, 8, global_pool, "GlobalPool", dropout_keep_prob,
                spatial_squeeze, prediction_fn,
            )  # fmt: skip
    return logits, end_points


def _aux_logits(
    net: tf.Tensor, num_classes: int, depth: Callable[[int], int], spatial_squeeze: bool
) -> tf.Tensor:
    with slim.variable_scope("AuxLogits"):
        net = pool_for_aux_logits(net, "AvgPool_1a_5x5", sized=False)  # 5x5x768
        net = slim.conv2d(net, depth(128), [1, 1], scope="Conv2d_1b_1x1")
        height, width = kernel = window_that_fits(net, 5)
        net = slim.conv2d(
            net,
            depth(768),
            kernel,
            weights_initializer=slim.truncated_normal_initializer(stddev=0.01),
            padding="VALID",
            scope=f"Conv2d_2a_{height}x{width}",
        )  # 1x1x768
        logits = slim.conv2d(
            net,
            num_classes,
            [1, 1],
            activation_fn=None,
            normalizer_fn=None,
            weights_initializer=slim.truncated_normal_initializer(stddev=0.001),
            scope="Conv2d_2b_1x1",
        )
        return squeeze_space(logits, "SpatialSqueeze") if spatial_squeeze else logits


inception_v3.default_image_size = 299
inception_v3_arg_scope = inception_arg_scope
