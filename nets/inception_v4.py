"""Inception v4.

Szegedy et al., "Inception-v4, Inception-ResNet and the Impact of Residual Connections on Learning",
https://arxiv.org/abs/1602.07261, figure 9; the stem is figure 3, the blocks are figures 4 to 8.

The auxiliary classifier, which is not in the paper, follows the last block of figure 5. Irregular
names of the published checkpoint: the rows of Mixed_3a are called 0a although their stride is 2,
and `AuxLogits/Conv2d_2a` and `AuxLogits/Aux_logits` do not include the kernel.
"""

from typing import Any

import tensorflow as tf

import slim
from nets._branches import AvgPool, Conv, Fork, MaxPool, Mixed, as_layers, by_name
from nets._end_points import run_layers
from nets.inception_utils import (
    inception_arg_scope,
    pool_for_aux_logits,
    pool_whole_image,
)
from slim._shapes import static_sizes

_HALF = {"stride": 2, "padding": "VALID"}

# fmt: off
_INCEPTION_A = Mixed(  # figure 4
    [Conv("0a", 96, 1)],
    [Conv("0a", 64, 1), Conv("0b", 96, 3)],
    [Conv("0a", 64, 1), Conv("0b", 96, 3), Conv("0c", 96, 3)],
    [AvgPool("0a", 3), Conv("0b", 96, 1)],
)
_REDUCTION_A = Mixed(  # figure 7, with k, l, m, n = 192, 224, 256, 384
    [Conv("1a", 384, 3, **_HALF)],
    [Conv("0a", 192, 1), Conv("0b", 224, 3), Conv("1a", 256, 3, **_HALF)],
    [MaxPool("1a", 3, **_HALF)],
)
_INCEPTION_B = Mixed(  # figure 5
    [Conv("0a", 384, 1)],
    [Conv("0a", 192, 1), Conv("0b", 224, (1, 7)), Conv("0c", 256, (7, 1))],
    [Conv("0a", 192, 1), Conv("0b", 192, (7, 1)), Conv("0c", 224, (1, 7)),
     Conv("0d", 224, (7, 1)), Conv("0e", 256, (1, 7))],
    [AvgPool("0a", 3), Conv("0b", 128, 1)],
)
_REDUCTION_B = Mixed(  # figure 8
    [Conv("0a", 192, 1), Conv("1a", 192, 3, **_HALF)],
    [Conv("0a", 256, 1), Conv("0b", 256, (1, 7)), Conv("0c", 320, (7, 1)),
     Conv("1a", 320, 3, **_HALF)],
    [MaxPool("1a", 3, **_HALF)],
)
_INCEPTION_C = Mixed(  # figure 6
    [Conv("0a", 256, 1)],
    [Conv("0a", 384, 1), Fork(Conv("0b", 256, (1, 3)), Conv("0c", 256, (3, 1)))],
    [Conv("0a", 384, 1), Conv("0b", 448, (3, 1)), Conv("0c", 512, (1, 3)),
     Fork(Conv("0d", 256, (1, 3)), Conv("0e", 256, (3, 1)))],
    [AvgPool("0a", 3), Conv("0b", 256, 1)],
)
_TABLE = {
    **by_name(
        Conv("1a", 32, 3, **_HALF),                                     # 149x149x32
        Conv("2a", 32, 3, padding="VALID"),                             # 147x147x32
        Conv("2b", 64, 3),                                              # 147x147x64
    ),
    "Mixed_3a": Mixed(                                                  # 73x73x160
        [MaxPool("0a", 3, **_HALF)],
        [Conv("0a", 96, 3, **_HALF)],
    ),
    "Mixed_4a": Mixed(                                                  # 71x71x192
        [Conv("0a", 64, 1), Conv("1a", 96, 3, padding="VALID")],
        [Conv("0a", 64, 1), Conv("0b", 64, (1, 7)), Conv("0c", 64, (7, 1)),
         Conv("1a", 96, 3, padding="VALID")],
    ),
    "Mixed_5a": Mixed(                                                  # 35x35x384
        [Conv("1a", 192, 3, **_HALF)],
        [MaxPool("1a", 3, **_HALF)],
    ),
    **{f"Mixed_5{letter}": _INCEPTION_A for letter in "bcde"},
    "Mixed_6a": _REDUCTION_A,                                           # 17x17x1024
    **{f"Mixed_6{letter}": _INCEPTION_B for letter in "bcdefgh"},
    "Mixed_7a": _REDUCTION_B,                                           # 8x8x1536
    **{f"Mixed_7{letter}": _INCEPTION_C for letter in "bcd"},
}
# fmt: on


def inception_v4_base(
    inputs: tf.Tensor, final_endpoint: str = "Mixed_7d", scope: Any = None
) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """Builds Inception v4 up to one of its stages.

    Args:
      inputs: [batch, height, width, channels], of 75 x 75 or more for all stages.
      final_endpoint: name of the last stage.
      scope: name of the variables' scope, `InceptionV4` by default.

    Returns:
      The output of the last stage, and those of all stages by name.

    Raises:
      UserError: if there is no stage `final_endpoint`.
    """
    with slim.variable_scope(scope, "InceptionV4"):
        return run_layers(inputs, as_layers(_TABLE), final_endpoint)


def inception_v4(
    inputs: tf.Tensor,
    num_classes: int | None = 1001,
    is_training: bool = True,
    dropout_keep_prob: float = 0.8,
    reuse: Any = None,
    scope: Any = "InceptionV4",
    create_aux_logits: bool = True,
) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """Builds Inception v4.

    Args:
      inputs: [batch, height, width, channels]; with the auxiliary logits at least 107 x 107 and of
        a known size, which determines the shape of `AuxLogits/Conv2d_2a`: 299 x 299 for published
        weights.
      num_classes: number of classes; 0 or None returns the features before dropout.
      is_training: whether batch norm and dropout are in training mode.
      dropout_keep_prob: fraction of the features that dropout keeps.
      reuse: whether the variables are shared; see `slim.variable_scope`.
      scope: name of the variables' scope.
      create_aux_logits: whether to add the auxiliary classifier, in inference too.

    Returns:
      Logits [batch, num_classes], or features [batch, 1, 1, 1536]; and the end points by name.

    Raises:
      UserError: if the images are too small or of unknown size for the auxiliary logits.
    """
    with slim.variable_scope(scope, "InceptionV4", reuse=reuse) as sc:
        with slim.arg_scope([slim.batch_norm, slim.dropout], is_training=is_training):
            net, end_points = inception_v4_base(inputs, scope=sc)
            if create_aux_logits and num_classes:
                end_points["AuxLogits"] = _aux_logits(end_points["Mixed_6h"], num_classes)
            with slim.variable_scope("Logits"):
                net = pool_whole_image(net, "AvgPool_1a")  # 1x1x1536
                end_points["global_pool"] = net
                if not num_classes:
                    return net, end_points
                net = slim.dropout(net, dropout_keep_prob, scope="Dropout_1b")
                net = slim.flatten(net, scope="PreLogitsFlatten")
                end_points["PreLogitsFlatten"] = net
                logits = slim.fully_connected(net, num_classes, activation_fn=None, scope="Logits")
                end_points["Logits"] = logits
                end_points["Predictions"] = tf.nn.softmax(logits, name="Predictions")
    return logits, end_points


def _aux_logits(net: tf.Tensor, num_classes: int) -> tf.Tensor:
    with slim.variable_scope("AuxLogits"):
        net = pool_for_aux_logits(net, "AvgPool_1a_5x5", sized=True)  # 5x5x1024
        net = slim.conv2d(net, 128, [1, 1], scope="Conv2d_1b_1x1")
        window = static_sizes(net)[1:3]
        net = slim.conv2d(net, 768, window, padding="VALID", scope="Conv2d_2a")  # 1x1x768
        net = slim.flatten(net)
        return slim.fully_connected(net, num_classes, activation_fn=None, scope="Aux_logits")


inception_v4.default_image_size = 299
inception_v4_arg_scope = inception_arg_scope
