"""Inception v1, known as GoogLeNet, with batch normalization.

Szegedy et al., "Going deeper with convolutions", https://arxiv.org/abs/1409.4842, table 1.

Unlike in the paper, there is batch normalization in place of local response normalization, there
are no auxiliary classifiers, and the kernels of the branch that is 5 x 5 in the paper's table are
3 x 3. One name of the published checkpoint is irregular: Mixed_5b/Branch_2 has `Conv2d_0a_3x3`
where all others have `Conv2d_0b_3x3`.
"""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

import slim
from nets._branches import Conv, MaxPool, Mixed, as_layers, by_name
from nets._end_points import run_layers
from nets._outputs import conv_logits
from nets.inception_utils import inception_arg_scope
from slim import _checks
from slim._shapes import static_sizes


def _mixed(
    conv1: int,
    reduce3: int,
    conv3: int,
    reduce5: int,
    conv5: int,
    pool_proj: int,
    conv5_place: str = "0b",
) -> Mixed:
    """Returns a block; the arguments are the columns of the paper's table, from #1x1 on."""
    return Mixed(
        [Conv("0a", conv1, 1)],
        [Conv("0a", reduce3, 1), Conv("0b", conv3, 3)],
        [Conv("0a", reduce5, 1), Conv(conv5_place, conv5, 3)],
        [MaxPool("0a", 3), Conv("0b", pool_proj, 1)],
    )


# fmt: off
_ROOT = by_name(
    Conv("1a", 64, 7, stride=2),  # 112x112x64
    MaxPool("2a", 3, stride=2),   # 56x56x64
    Conv("2b", 64, 1),
    Conv("2c", 192, 3),           # 56x56x192
    MaxPool("3a", 3, stride=2),   # 28x28x192
)
_BODY = {
    "Mixed_3b": _mixed(64, 96, 128, 16, 32, 32),                       # 28x28x256
    "Mixed_3c": _mixed(128, 128, 192, 32, 96, 64),                     # 28x28x480
    **by_name(MaxPool("4a", 3, stride=2)),                             # 14x14x480
    "Mixed_4b": _mixed(192, 96, 208, 16, 48, 64),                      # 14x14x512
    "Mixed_4c": _mixed(160, 112, 224, 24, 64, 64),
    "Mixed_4d": _mixed(128, 128, 256, 24, 64, 64),
    "Mixed_4e": _mixed(112, 144, 288, 32, 64, 64),                     # 14x14x528
    "Mixed_4f": _mixed(256, 160, 320, 32, 128, 128),                   # 14x14x832
    **by_name(MaxPool("5a", 2, stride=2)),                             # 7x7x832
    "Mixed_5b": _mixed(256, 160, 320, 32, 128, 128, conv5_place="0a"),
    "Mixed_5c": _mixed(384, 192, 384, 48, 128, 128),                   # 7x7x1024
}
# fmt: on


def inception_v1_base(
    inputs: tf.Tensor,
    final_endpoint: str = "Mixed_5c",
    include_root_block: bool = True,
    scope: Any = "InceptionV1",
) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """Builds Inception v1 up to one of its stages.

    Args:
      inputs: [batch, height, width, channels]; without the root block, its output.
      final_endpoint: name of the last stage.
      include_root_block: whether to begin with the stages before `Mixed_3b`.
      scope: name of the variables' scope.

    Returns:
      The output of the last stage, and those of all stages by name.

    Raises:
      UserError: if there is no stage `final_endpoint`.
    """
    table = {**_ROOT, **_BODY} if include_root_block else _BODY
    with slim.variable_scope(scope, "InceptionV1"):
        with slim.arg_scope(
            [slim.conv2d, slim.fully_connected],
            weights_initializer=slim.truncated_normal_initializer(stddev=0.01),
        ):
            return run_layers(inputs, as_layers(table), final_endpoint)


def inception_v1(
    inputs: tf.Tensor,
    num_classes: int | None = 1000,
    is_training: bool = True,
    dropout_keep_prob: float = 0.8,
    prediction_fn: Callable[..., tf.Tensor] = slim.softmax,
    spatial_squeeze: bool = True,
    reuse: Any = None,
    scope: Any = "InceptionV1",
    global_pool: bool = False,
) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """Builds Inception v1.

    Args:
      inputs: [batch, height, width, channels], 224 x 224 unless `global_pool` is set.
      num_classes: number of classes; 0 or None returns the features before dropout.
      is_training: whether batch norm and dropout are in training mode.
      dropout_keep_prob: fraction of the features that dropout keeps.
      prediction_fn: function from logits to probabilities.
      spatial_squeeze: whether logits of one position become [batch, num_classes].
      reuse: whether the variables are shared; see `slim.variable_scope`.
      scope: name of the variables' scope.
      global_pool: whether to average over the whole image, for images of any size; otherwise over
        7 x 7 positions, so that larger images result in a map of logits.

    Returns:
      Logits [batch, num_classes], or [batch, height, width, num_classes] without `spatial_squeeze`;
      or features [batch, height, width, 1024]; and the end points by name.

    Raises:
      UserError: if the images are too small, or `spatial_squeeze` meets more than one position.
    """
    with slim.variable_scope(scope, "InceptionV1", reuse=reuse) as sc:
        with slim.arg_scope([slim.batch_norm, slim.dropout], is_training=is_training):
            net, end_points = inception_v1_base(inputs, scope=sc)
            with slim.variable_scope("Logits"):
                if global_pool:
                    net = tf.reduce_mean(net, [1, 2], keepdims=True, name="global_pool")
                    end_points["global_pool"] = net
                else:
                    net = _pool_7x7(net)  # 1x1x1024
                    end_points["AvgPool_0a_7x7"] = net
                if not num_classes:
                    return net, end_points
                net = slim.dropout(net, dropout_keep_prob, scope="Dropout_0b")
                logits = conv_logits(net, num_classes, "Conv2d_0c_1x1", spatial_squeeze)
                end_points["Logits"] = logits
                end_points["Predictions"] = prediction_fn(logits, scope="Predictions")
    return logits, end_points


def _pool_7x7(net: tf.Tensor) -> tf.Tensor:
    height, width = static_sizes(net)[1:3]
    if min(height or 7, width or 7) < 7:
        raise _checks.UserError(
            f"the images are too small: the last pooling has {height} x {width} positions, but "
            "needs 7 x 7; use the network's default image size or global_pool=True"
        )
    return slim.avg_pool2d(net, [7, 7], stride=1, scope="AvgPool_0a_7x7")


inception_v1.default_image_size = 224
inception_v1_arg_scope = inception_arg_scope
