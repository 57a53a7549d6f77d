"""LeNet as in TF-Slim: a variant of LeNet-5 (LeCun et al., 1998) with more filters and dropout."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

import slim


def lenet(
    images: tf.Tensor,
    num_classes: int | None = 10,
    is_training: bool = False,
    dropout_keep_prob: float = 0.5,
    prediction_fn: Callable[..., tf.Tensor] = slim.softmax,
    scope: str = "LeNet",
) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """Builds LeNet.

    Args:
      images: [batch, 28, 28, channels]; other sizes of 4 pixels or more work too.
      num_classes: number of classes; 0 or None returns the features before the last layer.
      is_training: whether dropout is on.
      dropout_keep_prob: fraction of the units that dropout keeps.
      prediction_fn: function from logits to probabilities.
      scope: name of the variables' scope.

    Returns:
      Logits [batch, num_classes], or features [batch, 1024]; and the end points by name.
    """
    end_points: dict[str, tf.Tensor] = {}
    with slim.variable_scope(scope):
        net = end_points["conv1"] = slim.conv2d(images, 32, [5, 5], scope="conv1")
        net = end_points["pool1"] = slim.max_pool2d(net, [2, 2], 2, scope="pool1")  # 14x14x32
        net = end_points["conv2"] = slim.conv2d(net, 64, [5, 5], scope="conv2")
        net = end_points["pool2"] = slim.max_pool2d(net, [2, 2], 2, scope="pool2")  # 7x7x64
        net = end_points["Flatten"] = slim.flatten(net)
        net = end_points["fc3"] = slim.fully_connected(net, 1024, scope="fc3")
        net = slim.dropout(net, dropout_keep_prob, is_training=is_training, scope="dropout3")
        end_points["dropout3"] = net
        if not num_classes:
            return net, end_points
        logits = slim.fully_connected(net, num_classes, activation_fn=None, scope="fc4")
        end_points["Logits"] = logits
    # Outside the network's scope, as in TF-Slim.
    end_points["Predictions"] = prediction_fn(logits, scope="Predictions")
    return logits, end_points


lenet.default_image_size = 28


def lenet_arg_scope(weight_decay: float = 0.0) -> Any:
    """Returns the scope of LeNet's layers.

    Args:
      weight_decay: coefficient of the L2 penalty on the weights.
    """
    with slim.arg_scope(
        [slim.conv2d, slim.fully_connected],
        weights_regularizer=slim.l2_regularizer(weight_decay),
        weights_initializer=slim.truncated_normal_initializer(stddev=0.1),
        activation_fn=tf.nn.relu,
    ) as scope:
        return scope
