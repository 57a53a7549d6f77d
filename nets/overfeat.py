"""OverFeat, the fast model.

Sermanet et al., "OverFeat: Integrated Recognition, Localization and Detection using Convolutional
Networks", https://arxiv.org/abs/1312.6229, Table 1; with 64 filters in the first layer, as in
TF-Slim, where the table has 96.
"""

from typing import Any

import tensorflow as tf

import slim
from nets._fc_head import fc_features, fc_logits, small_initial_weights
from nets._outputs import collected_outputs


def overfeat(
    inputs: tf.Tensor,
    num_classes: int | None = 1000,
    is_training: bool = True,
    dropout_keep_prob: float = 0.5,
    spatial_squeeze: bool = True,
    scope: str = "overfeat",
    global_pool: bool = False,
    reuse: Any = None,
) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """Builds OverFeat.

    Args:
      inputs: [batch, height, width, channels], 231 x 231 for one vector of logits each.
      num_classes: number of classes; 0 or None returns the features before the logits.
      is_training: whether dropout is on.
      dropout_keep_prob: fraction of the units of fc6 and fc7 that dropout keeps.
      spatial_squeeze: whether logits of one position become [batch, num_classes].
      scope: name of the variables' scope.
      global_pool: whether to average the features over the image, for images of any size; not in
        the paper.
      reuse: whether the variables are shared; see `slim.variable_scope`.

    Returns:
      Logits [batch, num_classes], or [batch, height, width, num_classes] without `spatial_squeeze`;
      or features [batch, height, width, 4096]; and the end points by name.

    Raises:
      UserError: if the images are too small, or `spatial_squeeze` meets more than one position.
    """
    with slim.variable_scope(scope, "overfeat", reuse=reuse) as sc:
        with collected_outputs(sc, slim.conv2d, slim.max_pool2d) as end_points:
            net = slim.conv2d(inputs, 64, [11, 11], 4, padding="VALID", scope="conv1")  # 56x56x64
            net = slim.max_pool2d(net, [2, 2], scope="pool1")  # 28x28x64
            net = slim.conv2d(net, 256, [5, 5], padding="VALID", scope="conv2")  # 24x24x256
            net = slim.max_pool2d(net, [2, 2], scope="pool2")  # 12x12x256
            net = slim.conv2d(net, 512, [3, 3], scope="conv3")
            net = slim.conv2d(net, 1024, [3, 3], scope="conv4")
            net = slim.conv2d(net, 1024, [3, 3], scope="conv5")
            net = slim.max_pool2d(net, [2, 2], scope="pool5")  # 6x6x1024
            with small_initial_weights():
                net = fc_features(net, (3072, 4096), 6, "VALID", dropout_keep_prob, is_training)
        with small_initial_weights():
            net = fc_logits(
                net, end_points, sc, num_classes, dropout_keep_prob, is_training, spatial_squeeze,
                global_pool,
            )  # fmt: skip
    return net, end_points


overfeat.default_image_size = 231


def overfeat_arg_scope(weight_decay: float = 0.0005) -> Any:
    """Returns the scope of OverFeat's layers.

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
        slim.arg_scope([slim.conv2d], padding="SAME"),
        slim.arg_scope([slim.max_pool2d], padding="VALID") as scope,
    ):
        return scope
