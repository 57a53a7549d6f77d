"""Shared by the Inception networks: arg_scope, depth multiplier, and parts of the heads."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

import slim
from nets._outputs import conv_logits
from slim import _checks
from slim._shapes import static_sizes


def inception_arg_scope(
    weight_decay: float = 0.00004,
    use_batch_norm: bool = True,
    batch_norm_decay: float = 0.9997,
    batch_norm_epsilon: float = 0.001,
    activation_fn: Callable[[tf.Tensor], tf.Tensor] | None = tf.nn.relu,
    batch_norm_scale: bool = False,
) -> Any:
    """Returns the scope of the layers of Inception v1 to v4.

    Args:
      weight_decay: coefficient of the L2 penalty on the weights.
      use_batch_norm: whether convolutions have batch norm; otherwise they have biases.
      batch_norm_decay: decay of the moving averages.
      batch_norm_epsilon: added to the variance.
      activation_fn: activation of the convolutions.
      batch_norm_scale: whether batch norm has a `gamma`, which is redundant before ReLU.
    """
    batch_norm = {
        "decay": batch_norm_decay,
        "epsilon": batch_norm_epsilon,
        "scale": batch_norm_scale,
    }
    with (
        slim.arg_scope(
            [slim.conv2d, slim.fully_connected],
            weights_regularizer=slim.l2_regularizer(weight_decay),
        ),
        slim.arg_scope(
            [slim.conv2d],
            weights_initializer=slim.variance_scaling_initializer(),
            activation_fn=activation_fn,
            normalizer_fn=slim.batch_norm if use_batch_norm else None,
            normalizer_params=batch_norm if use_batch_norm else None,
        ) as scope,
    ):
        return scope


def scaled_depth(depth_multiplier: float, min_depth: int) -> Callable[[int], int]:
    """Returns the function from a table's number of filters to a wider or thinner network's.

    Args:
      depth_multiplier: factor of the number of filters of all convolutions.
      min_depth: minimum number of filters of a convolution.

    Raises:
      UserError: if `depth_multiplier` is not positive.
    """
    _checks.positive(depth_multiplier=depth_multiplier)
    return lambda depth: max(int(depth * depth_multiplier), min_depth)


def window_that_fits(net: tf.Tensor, size: int) -> tuple[int, int]:
    """Returns a window of `size` in both directions, or smaller where `net` is smaller.

    Args:
      net: [batch, height, width, channels]; an unknown size is assumed to be large enough.
      size: height and width of the window.
    """
    height, width = static_sizes(net)[1:3]
    if height is None or width is None:
        return size, size
    return min(height, size), min(width, size)


def pool_for_aux_logits(net: tf.Tensor, scope: str, sized: bool) -> tf.Tensor:
    """Applies the 5 x 5 average pooling at the start of the auxiliary classifier.

    Args:
      net: [batch, height, width, channels].
      scope: name of the layer.
      sized: whether height and width must be known, because the next kernel has the output's size.

    Returns:
      [batch, height', width', channels]: 5 x 5 positions for images of 299 x 299.

    Raises:
      UserError: if the images are too small, or of unknown size although `sized`.
    """
    height, width = static_sizes(net)[1:3]
    if sized and (height is None or width is None):
        raise _checks.UserError(
            "create_aux_logits=True needs images whose height and width are known when the network "
            "is built; set their shape, or use create_aux_logits=False"
        )
    if min(height or 5, width or 5) < 5:
        raise _checks.UserError(
            f"create_aux_logits=True: images of this size have {height} x {width} positions at the "
            "auxiliary classifier, which needs 5 x 5; use larger images or create_aux_logits=False"
        )
    return slim.avg_pool2d(net, [5, 5], stride=3, padding="VALID", scope=scope)


def pool_whole_image(net: tf.Tensor, scope: str) -> tf.Tensor:
    """Returns the means over the image, [batch, 1, 1, channels].

    Args:
      net: [batch, height, width, channels], of any size.
      scope: name of the pooling layer for a known size; for an unknown one it is `global_pool`.
    """
    height, width = static_sizes(net)[1:3]
    if height is None or width is None:
        return tf.reduce_mean(net, [1, 2], keepdims=True, name="global_pool")
    return slim.avg_pool2d(net, [height, width], stride=1, padding="VALID", scope=scope)


def convolutional_head(
    net: tf.Tensor,
    end_points: dict[str, tf.Tensor],
    num_classes: int | None,
    window: int,
    global_pool: bool,
    global_pool_name: str,
    dropout_keep_prob: float,
    spatial_squeeze: bool,
    prediction_fn: Callable[..., tf.Tensor],
) -> tf.Tensor:
    """Applies the head of v2 and v3: pooling, dropout, and logits by a 1 x 1 convolution.

    Args:
      net: [batch, height, width, channels].
      end_points: the end points so far; those of the head are added.
      num_classes: number of classes; 0 or None returns the features before dropout.
      window: height and width of the pooling window; smaller where `net` is smaller.
      global_pool: whether to average over the whole image instead.
      global_pool_name: name of that operation.
      dropout_keep_prob: fraction of the features that dropout keeps.
      spatial_squeeze: whether logits of one position become [batch, num_classes].
      prediction_fn: function from logits to probabilities.

    Returns:
      The logits or the features.

    Raises:
      UserError: if `spatial_squeeze` meets more than one position.
    """
    with slim.variable_scope("Logits"):
        if global_pool:
            net = tf.reduce_mean(net, [1, 2], keepdims=True, name=global_pool_name)
            end_points["global_pool"] = net
        else:
            height, width = kernel = window_that_fits(net, window)
            # The stride, not part of the name, is 2: larger images result in a map of logits.
            name = f"AvgPool_1a_{height}x{width}"
            net = slim.avg_pool2d(net, kernel, stride=2, padding="VALID", scope=name)
            end_points["AvgPool_1a"] = net
        if not num_classes:
            return net
        net = slim.dropout(net, dropout_keep_prob, scope="Dropout_1b")
        end_points["PreLogits"] = net
        logits = conv_logits(net, num_classes, "Conv2d_1c_1x1", spatial_squeeze)
    end_points["Logits"] = logits
    end_points["Predictions"] = prediction_fn(logits, scope="Predictions")
    return logits
