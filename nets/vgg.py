"""VGG: stages of 3x3 convolutions between poolings, then three fully connected layers.

Simonyan and Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition",
https://arxiv.org/abs/1409.1556, Table 1: configurations A (11 layers), D (16) and E (19).
"""

from typing import Any

import tensorflow as tf

import slim
from nets._fc_head import fc_features, fc_logits
from nets._outputs import collected_outputs
from nets._variants import variant

_DEPTHS = (64, 128, 256, 512, 512)
# The columns of Table 1: number of convolutions of each stage.
_CONFIGURATIONS = {
    "vgg_a": (1, 1, 2, 2, 2),
    "vgg_16": (2, 2, 3, 3, 3),
    "vgg_19": (2, 2, 4, 4, 4),
}


def _vgg(
    name: str,
    inputs: tf.Tensor,
    num_classes: int | None = 1000,
    is_training: bool = True,
    dropout_keep_prob: float = 0.5,
    spatial_squeeze: bool = True,
    *,
    reuse: Any = None,
    scope: str | None = None,
    fc_conv_padding: str = "VALID",
    global_pool: bool = False,
) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """Builds a VGG.

    Args:
      name: a key of the table of configurations, which `vgg_a`, `vgg_16` and `vgg_19` bind.
      inputs: [batch, height, width, channels], 224 x 224 for one vector of logits each.
      num_classes: number of classes; 0 or None returns the features before the logits.
      is_training: whether dropout is on.
      dropout_keep_prob: fraction of the units of fc6 and fc7 that dropout keeps.
      spatial_squeeze: whether logits of one position become [batch, num_classes].
      reuse: whether the variables are shared; see `slim.variable_scope`.
      scope: name of the variables' scope; by default, that of the network.
      fc_conv_padding: "VALID" outputs size / 32 - 6 positions for larger images; "SAME" size / 32.
      global_pool: whether to average the features over the image, for images of any size; not in
        the paper.

    Returns:
      Logits [batch, num_classes], or [batch, height, width, num_classes] without `spatial_squeeze`;
      or features [batch, height, width, 4096]; and the end points by name.

    Raises:
      UserError: if the images are too small, or `spatial_squeeze` meets more than one position.
    """
    stages = zip(_CONFIGURATIONS[name], _DEPTHS, strict=True)
    with slim.variable_scope(scope, name, reuse=reuse) as sc:
        with collected_outputs(sc, slim.conv2d, slim.max_pool2d) as end_points:
            net = inputs
            for number, (repetitions, depth) in enumerate(stages, 1):
                net = slim.repeat(net, repetitions, slim.conv2d, depth, 3, scope=f"conv{number}")
                net = slim.max_pool2d(net, [2, 2], scope=f"pool{number}")
            net = fc_features(net, (4096, 4096), 7, fc_conv_padding, dropout_keep_prob, is_training)
        net = fc_logits(
            net, end_points, sc, num_classes, dropout_keep_prob, is_training, spatial_squeeze,
            global_pool,
        )  # fmt: skip
    return net, end_points


vgg_a = variant(_vgg, "vgg_a", scope="vgg_a")
vgg_16 = variant(_vgg, "vgg_16", scope="vgg_16")
vgg_19 = variant(_vgg, "vgg_19", scope="vgg_19")
vgg_d, vgg_e = vgg_16, vgg_19  # the paper's names


def vgg_arg_scope(weight_decay: float = 0.0005) -> Any:
    """Returns the scope of VGG's layers.

    Args:
      weight_decay: coefficient of the L2 penalty on the weights.
    """
    with (
        slim.arg_scope(
            [slim.conv2d, slim.fully_connected],
            activation_fn=tf.nn.relu,
            weights_regularizer=slim.l2_regularizer(weight_decay),
            biases_initializer=slim.zeros_initializer(),
        ),
        slim.arg_scope([slim.conv2d], padding="SAME") as scope,
    ):
        return scope
