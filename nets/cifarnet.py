"""CifarNet: the network of TensorFlow's CIFAR-10 tutorial, after Krizhevsky's cuda-convnet."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

import slim


def cifarnet(
    images: tf.Tensor,
    num_classes: int | None = 10,
    is_training: bool = False,
    dropout_keep_prob: float = 0.5,
    prediction_fn: Callable[..., tf.Tensor] = slim.softmax,
    scope: str = "CifarNet",
) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """Builds CifarNet.

    Args:
      images: [batch, 32, 32, channels]; other sizes work too.
      num_classes: number of classes; 0 or None returns the features before the last layer.
      is_training: whether dropout is on.
      dropout_keep_prob: fraction of the units that dropout keeps.
      prediction_fn: function from logits to probabilities.
      scope: name of the variables' scope.

    Returns:
      Logits [batch, num_classes], or features [batch, 192]; and the end points by name.
    """
    end_points: dict[str, tf.Tensor] = {}
    with slim.variable_scope(scope):
        net = end_points["conv1"] = slim.conv2d(images, 64, [5, 5], scope="conv1")
        net = end_points["pool1"] = slim.max_pool2d(net, [2, 2], 2, scope="pool1")  # 16x16x64
        net = tf.nn.local_response_normalization(net, 4, bias=1.0, alpha=0.001 / 9.0, beta=0.75)
        net = end_points["conv2"] = slim.conv2d(net, 64, [5, 5], scope="conv2")
        net = tf.nn.local_response_normalization(net, 4, bias=1.0, alpha=0.001 / 9.0, beta=0.75)
        net = end_points["pool2"] = slim.max_pool2d(net, [2, 2], 2, scope="pool2")  # 8x8x64
        net = end_points["Flatten"] = slim.flatten(net)
        net = end_points["fc3"] = slim.fully_connected(net, 384, scope="fc3")
        net = slim.dropout(net, dropout_keep_prob, is_training=is_training, scope="dropout3")
        net = end_points["fc4"] = slim.fully_connected(net, 192, scope="fc4")
        if not num_classes:
            return net, end_points
        logits = slim.fully_connected(
            net,
            num_classes,
            activation_fn=None,
            weights_initializer=slim.truncated_normal_initializer(stddev=1 / 192.0),
            weights_regularizer=None,
            scope="logits",
        )
        end_points["Logits"] = logits
        end_points["Predictions"] = prediction_fn(logits, scope="Predictions")
    return logits, end_points


cifarnet.default_image_size = 32


def cifarnet_arg_scope(weight_decay: float = 0.004) -> Any:
    """Returns the scope of CifarNet's layers.

    Args:
      weight_decay: coefficient of the L2 penalty on the weights of the fully connected layers; the
        convolutions are not regularized.
    """
    with (
        slim.arg_scope(
            [slim.conv2d],
            weights_initializer=slim.truncated_normal_initializer(stddev=5e-2),
            activation_fn=tf.nn.relu,
        ),
        slim.arg_scope(
            [slim.fully_connected],
            biases_initializer=slim.constant_initializer(0.1),
            weights_initializer=slim.truncated_normal_initializer(stddev=0.04),
            weights_regularizer=slim.l2_regularizer(weight_decay),
            activation_fn=tf.nn.relu,
        ) as scope,
    ):
        return scope
