"""AlexNet, second version, for one GPU.

Krizhevsky, "One weird trick for parallelizing convolutional neural networks",
https://arxiv.org/abs/1404.5997; layer sizes as in `layers-imagenet-1gpu.cfg` of the author's
cuda-convnet2. Unlike there, there is no local response normalization, the convolutions have
Xavier's initial weights, and the first one has no padding, so that fc6 sees 5 x 5 positions.
"""

from typing import Any

import tensorflow as tf

import slim
from nets._fc_head import fc_features, fc_logits, small_initial_weights
from nets._outputs import collected_outputs


def alexnet_v2(
    inputs: tf.Tensor,
    num_classes: int | None = 1000,
    is_training: bool = True,
    dropout_keep_prob: float = 0.5,
    spatial_squeeze: bool = True,
    scope: str = "alexnet_v2",
    global_pool: bool = False,
    reuse: Any = None,
) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """Builds AlexNet v2.

    Args:
      inputs: [batch, height, width, channels], 224 x 224 for one vector of logits each.
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
    with slim.variable_scope(scope, "alexnet_v2", reuse=reuse) as sc:
        with collected_outputs(sc, slim.conv2d, slim.max_pool2d) as end_points:
            net = slim.conv2d(inputs, 64, [11, 11], 4, padding="VALID", scope="conv1")  # 54x54x64
            net = slim.max_pool2d(net, [3, 3], 2, scope="pool1")  # 26x26x64
            net = slim.conv2d(net, 192, [5, 5], scope="conv2")
            net = slim.max_pool2d(net, [3, 3], 2, scope="pool2")  # 12x12x192
            net = slim.conv2d(net, 384, [3, 3], scope="conv3")
            net = slim.conv2d(net, 384, [3, 3], scope="conv4")
            net = slim.conv2d(net, 256, [3, 3], scope="conv5")
            net = slim.max_pool2d(net, [3, 3], 2, scope="pool5")  # 5x5x256
            with small_initial_weights():
                net = fc_features(net, (4096, 4096), 5, "VALID", dropout_keep_prob, is_training)
        with small_initial_weights():
            net = fc_logits(
                net, end_points, sc, num_classes, dropout_keep_prob, is_training, spatial_squeeze,
                global_pool,
            )  # fmt: skip
    return net, end_points


alexnet_v2.default_image_size = 224


def alexnet_v2_arg_scope(weight_decay: float = 0.0005) -> Any:
    """Returns the scope of AlexNet's layers.

    Args:
      weight_decay: coefficient of the L2 penalty on the weights.
    """
    with (
        slim.arg_scope(
            [slim.conv2d, slim.fully_connected],
            activation_fn=tf.nn.relu,
            biases_initializer=slim.constant_initializer(0.1),
            weights_regularizer=slim.l2_regularizer(weight_decay),
        ),
        slim.arg_scope([slim.conv2d], padding="SAME"),
        slim.arg_scope([slim.max_pool2d], padding="VALID") as scope,
    ):
        return scope
