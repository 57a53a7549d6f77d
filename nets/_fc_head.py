"""The fully connected layers of VGG, AlexNet and OverFeat, as convolutions.

As convolutions, fc6 to fc8 also apply to larger images, where they output a map of logits; and
their weights have the shapes of the published checkpoints, [7, 7, 512, 4096].
"""

import contextlib
from collections.abc import Sequence
from typing import Any

import tensorflow as tf

import slim
from nets._outputs import conv_logits, squeeze_space
from slim import _checks
from slim._shapes import static_sizes


def small_initial_weights() -> contextlib.AbstractContextManager[Any]:
    """Returns an arg_scope with the initial values of AlexNet's and OverFeat's fc6 to fc8."""
    return slim.arg_scope(
        [slim.conv2d],
        weights_initializer=slim.truncated_normal_initializer(stddev=0.005),
        biases_initializer=slim.constant_initializer(0.1),
    )


def fc_features(
    net: tf.Tensor,
    units: Sequence[int],
    kernel_size: int,
    padding: str,
    dropout_keep_prob: float,
    is_training: bool,
) -> tf.Tensor:
    """Applies fc6, dropout and fc7.

    Args:
      net: [batch, height, width, channels].
      units: number of units of fc6 and of fc7.
      kernel_size: kernel size of fc6: height and width of `net` for images of the default size.
      padding: padding of fc6.
      dropout_keep_prob: fraction of the units of fc6 that dropout keeps.
      is_training: whether dropout is on.

    Raises:
      UserError: if `net` is smaller than the kernel and `padding` is "VALID".
    """
    height, width = static_sizes(net)[1:3]
    if padding == "VALID" and min(height or kernel_size, width or kernel_size) < kernel_size:
        raise _checks.UserError(
            f"the images are too small: the input of fc6 is {height} x {width}, but must be at "
            f"least {kernel_size} x {kernel_size}; use the network's default image size or larger"
        )
    net = slim.conv2d(net, units[0], [kernel_size] * 2, padding=padding, scope="fc6")
    net = slim.dropout(net, dropout_keep_prob, is_training=is_training, scope="dropout6")
    return slim.conv2d(net, units[1], [1, 1], scope="fc7")


def fc_logits(
    net: tf.Tensor,
    end_points: dict[str, tf.Tensor],
    scope: slim.VariableScope,
    num_classes: int | None,
    dropout_keep_prob: float,
    is_training: bool,
    spatial_squeeze: bool,
    global_pool: bool,
) -> tf.Tensor:
    """Applies global pooling on request, dropout and fc8, and adds the outputs to the end points.

    Args:
      net: output of fc7.
      end_points: the end points so far.
      scope: the network's scope.
      num_classes: number of classes; 0 or None returns the features before dropout.
      dropout_keep_prob: fraction of the units that dropout keeps.
      is_training: whether dropout is on.
      spatial_squeeze: whether logits of one position become [batch, num_classes].
      global_pool: whether to average over the image first.

    Raises:
      UserError: if `spatial_squeeze` meets logits of more than one position.
    """
    if global_pool:
        net = tf.reduce_mean(net, [1, 2], keepdims=True, name="global_pool")
        end_points["global_pool"] = net
    if not num_classes:
        return net
    net = slim.dropout(net, dropout_keep_prob, is_training=is_training, scope="dropout7")
    with slim.arg_scope([slim.conv2d], biases_initializer=slim.zeros_initializer()):
        net = conv_logits(net, num_classes, "fc8", spatial_squeeze=False)
    if spatial_squeeze:
        net = squeeze_space(net, "fc8/squeezed")
    end_points[f"{scope.name}/fc8"] = net
    return net
