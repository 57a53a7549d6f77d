"""I3D: Inception V1 inflated to videos.

Carreira and Zisserman, "Quo Vadis, Action Recognition? A New Model and the Kinetics Dataset",
https://arxiv.org/abs/1705.07750, Figure 3. The layers are those of S3D-G (`s3dg.py`) with other
settings: a first convolution over 7 frames, full 3-D convolutions and no gates.
"""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

import slim
from nets import i3d_utils, s3dg


def i3d_arg_scope(
    weight_decay: float = 1e-7,
    batch_norm_decay: float = 0.999,
    batch_norm_epsilon: float = 0.001,
    separable_conv3d: bool = False,
) -> Any:
    """Returns the scope of I3D's layers.

    Args:
      weight_decay: coefficient of the L2 penalty on the weights.
      batch_norm_decay: decay of the moving averages.
      batch_norm_epsilon: added to the variance.
      separable_conv3d: whether to split the 3x3x3 convolutions into one over space and one over
        time.
    """
    return i3d_utils.video_arg_scope(
        weight_decay, batch_norm_decay, batch_norm_epsilon, separable=separable_conv3d
    )


def i3d_base(
    inputs: tf.Tensor,
    final_endpoint: str = "Mixed_5c",
    scope: str | slim.VariableScope = "InceptionV1",
) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """Builds I3D up to `final_endpoint`.

    Args:
      inputs: [batch, time, height, width, channels].
      final_endpoint: name of the last layer to build.
      scope: name of the variables' scope.

    Returns:
      The last output, and the end points by name.

    Raises:
      UserError: if `final_endpoint` is not known.
    """
    return s3dg.s3dg_base(
        inputs,
        first_temporal_kernel_size=7,
        gating_startat=None,
        final_endpoint=final_endpoint,
        scope=scope,
    )


def i3d(
    inputs: tf.Tensor,
    num_classes: int | None = 1000,
    dropout_keep_prob: float = 0.8,
    is_training: bool = True,
    prediction_fn: Callable[..., tf.Tensor] = slim.softmax,
    spatial_squeeze: bool = True,
    reuse: Any = None,
    scope: str = "InceptionV1",
) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """Builds I3D.

    Args:
      inputs: [batch, time, height, width, channels], 224 x 224 for one vector of logits each.
      num_classes: number of classes; 0 or None returns the features before the logits.
      dropout_keep_prob: fraction of the features that dropout keeps.
      is_training: whether batch norm and dropout are in training mode.
      prediction_fn: function from logits to probabilities.
      spatial_squeeze: whether logits of one position become [batch, num_classes].
      reuse: whether the variables are shared; see `slim.variable_scope`.
      scope: name of the variables' scope.

    Returns:
      Logits [batch, num_classes], or [batch, height, width, num_classes] without `spatial_squeeze`;
      or features [batch, height, width, channels], the mean over time; and the end points by name.

    Raises:
      UserError: if `spatial_squeeze` meets logits of more than one position.
    """
    with (
        slim.variable_scope(scope, "InceptionV1", reuse=reuse) as sc,
        slim.arg_scope([slim.batch_norm, slim.dropout], is_training=is_training),
    ):
        net, end_points = i3d_base(inputs, scope=sc)
        net = i3d_utils.video_logits(
            net, end_points, num_classes, dropout_keep_prob, prediction_fn, spatial_squeeze
        )
    return net, end_points


i3d.default_image_size = 224
