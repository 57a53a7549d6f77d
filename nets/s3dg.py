"""S3D-G: Inception V1 over videos, with separate convolutions over space and time, and gates.

Xie et al., "Rethinking Spatiotemporal Feature Learning For Video Understanding",
https://arxiv.org/abs/1712.04851. The layers have Inception V1's names, `Conv2d_2c_3x3`, so that the
weights of an image network can be inflated into a video network.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import tensorflow as tf

import slim
from nets import i3d_utils
from nets._end_points import run_layers
from nets.i3d_utils import Mixed, conv3d_spatiotemporal
from slim import _checks
from slim._shapes import static_sizes


class _Conv(NamedTuple):
    depth: int
    size: int  # of the kernel, in space
    stride: int = 1


class _Pool(NamedTuple):
    kernel: tuple[int, int, int]
    stride: tuple[int, int, int]


# Time x height x width x channels, for 64 frames of 224 x 224.
_LAYERS = {
    "Conv2d_1a_7x7": _Conv(64, 7, 2),  # 32x112x112x64
    "MaxPool_2a_3x3": _Pool((1, 3, 3), (1, 2, 2)),  # 32x56x56x64
    "Conv2d_2b_1x1": _Conv(64, 1),
    "Conv2d_2c_3x3": _Conv(192, 3),  # 32x56x56x192
    "MaxPool_3a_3x3": _Pool((1, 3, 3), (1, 2, 2)),  # 32x28x28x192
    "Mixed_3b": Mixed(64, (96, 128), (16, 32), 32),  # 32x28x28x256
    "Mixed_3c": Mixed(128, (128, 192), (32, 96), 64),  # 32x28x28x480
    "MaxPool_4a_3x3": _Pool((3, 3, 3), (2, 2, 2)),  # 16x14x14x480
    "Mixed_4b": Mixed(192, (96, 208), (16, 48), 64),  # 16x14x14x512
    "Mixed_4c": Mixed(160, (112, 224), (24, 64), 64),
    "Mixed_4d": Mixed(128, (128, 256), (24, 64), 64),
    "Mixed_4e": Mixed(112, (144, 288), (32, 64), 64),  # 16x14x14x528
    "Mixed_4f": Mixed(256, (160, 320), (32, 128), 128),  # 16x14x14x832
    "MaxPool_5a_2x2": _Pool((2, 2, 2), (2, 2, 2)),  # 8x7x7x832
    "Mixed_5b": Mixed(256, (160, 320), (32, 128), 128),
    "Mixed_5c": Mixed(384, (192, 384), (48, 128), 128),  # 8x7x7x1024
}
# Layers with optional convolutions over time and gates; the first two convolutions have neither.
_SWITCHABLE = [
    name for name, row in _LAYERS.items() if name == "Conv2d_2c_3x3" or isinstance(row, Mixed)
]
_FORMATS = ("NDHWC", "NCDHW")


class _Switches(NamedTuple):
    first_frames: int
    temporal: Sequence[str]
    gated: Sequence[str]
    data_format: str
    depth: Callable[[int], int]


def s3dg_arg_scope(
    weight_decay: float = 1e-7, batch_norm_decay: float = 0.999, batch_norm_epsilon: float = 0.001
) -> Any:
    """Returns the scope of S3D-G's layers.

    Args:
      weight_decay: coefficient of the L2 penalty on the weights.
      batch_norm_decay: decay of the moving averages.
      batch_norm_epsilon: added to the variance.
    """
    return i3d_utils.video_arg_scope(
        weight_decay, batch_norm_decay, batch_norm_epsilon, separable=True
    )


def self_gating(inputs: tf.Tensor, scope: str, data_format: str = "NDHWC") -> tf.Tensor:
    """Scales each channel by a factor in (0, 1), computed from the means of all channels.

    Args:
      inputs: [batch, time, height, width, channels], or in the order of `data_format`.
      scope: name of the gated layer.
      data_format: "NDHWC" or "NCDHW".

    Returns:
      A tensor of the inputs' shape.
    """
    channel_axis = data_format.index("C")
    means = tf.reduce_mean(inputs, [a for a in range(1, 5) if a != channel_axis], keepdims=True)
    weights = slim.conv3d(
        means,
        static_sizes(inputs)[channel_axis],
        [1, 1, 1],
        activation_fn=None,
        normalizer_fn=None,
        biases_initializer=None,
        data_format=data_format,
        weights_initializer=slim.truncated_normal_initializer(stddev=0.01),
        scope=f"{scope}/self_gating/transformer_W",
    )
    return tf.multiply(tf.nn.sigmoid(weights), inputs)


def s3dg_base(
    inputs: tf.Tensor,
    first_temporal_kernel_size: int = 3,
    temporal_conv_startat: str | None = "Conv2d_2c_3x3",
    gating_startat: str | None = "Conv2d_2c_3x3",
    final_endpoint: str = "Mixed_5c",
    min_depth: int = 16,
    depth_multiplier: float = 1.0,
    data_format: str = "NDHWC",
    scope: str | slim.VariableScope = "InceptionV1",
) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """Builds S3D-G, or with other settings I3D, up to `final_endpoint`.

    Args:
      inputs: [batch, time, height, width, channels], or in the order of `data_format`.
      first_temporal_kernel_size: kernel size of the first convolution over time: 1, 3, 5 or 7
        frames. It is 7 in the paper; 3 is faster, and more accurate according to TF-Slim.
      temporal_conv_startat: first layer whose 3x3 convolutions span 3 frames; None for no layer.
      gating_startat: first gated layer; None for no layer.
      final_endpoint: name of the last layer to build.
      min_depth: minimum number of channels of a convolution.
      depth_multiplier: factor for all channels.
      data_format: "NDHWC" or "NCDHW".
      scope: name of the variables' scope.

    Returns:
      The last output, and the end points by name.

    Raises:
      UserError: for an unknown layer, kernel size or format, or a multiplier that is not positive.
    """
    _checks.one_of("first_temporal_kernel_size", first_temporal_kernel_size, [1, 3, 5, 7])
    _checks.one_of("data_format", data_format, _FORMATS)
    _checks.positive(depth_multiplier=depth_multiplier)
    switches = _Switches(
        first_temporal_kernel_size,
        _from("temporal_conv_startat", temporal_conv_startat),
        _from("gating_startat", gating_startat),
        data_format,
        lambda channels: max(int(channels * depth_multiplier), min_depth),
    )
    layers = {
        name: functools.partial(_layer, name=name, row=row, switches=switches)
        for name, row in _LAYERS.items()
    }
    with (
        slim.variable_scope(scope, "InceptionV1"),
        slim.arg_scope(
            [slim.conv3d], weights_initializer=slim.truncated_normal_initializer(stddev=0.01)
        ),
        slim.arg_scope(
            [slim.conv3d, slim.max_pool3d, conv3d_spatiotemporal],
            stride=1,
            data_format=data_format,
            padding="SAME",
        ),
        # Not in TF-Slim, whose NCDHW networks normalized over the width.
        slim.arg_scope([slim.batch_norm], data_format=data_format.replace("D", "")),
    ):
        return run_layers(inputs, layers, final_endpoint)


def _layer(net: tf.Tensor, name: str, row: _Conv | _Pool | Mixed, switches: _Switches) -> tf.Tensor:
    """Builds a row of the table."""
    if isinstance(row, _Pool):
        return slim.max_pool3d(net, row.kernel, stride=row.stride, scope=name)
    frames = 3 if name in switches.temporal else 1
    gate = functools.partial(self_gating, data_format=switches.data_format)
    if isinstance(row, Mixed):
        channels = row.scaled(switches.depth)
        gate_or_none = gate if name in switches.gated else None
        return i3d_utils.inception_block_v1_3d(
            net, channels, frames, gate_or_none, switches.data_format, scope=name
        )
    depth = switches.depth(row.depth)
    if name == "Conv2d_1a_7x7":  # never in two steps, which would be slow in the first layer
        kernel = [switches.first_frames, row.size, row.size]
        return conv3d_spatiotemporal(
            net, depth, kernel, stride=row.stride, separable=False, scope=name
        )
    net = conv3d_spatiotemporal(net, depth, [frames, row.size, row.size], scope=name)
    return gate(net, scope=name) if name in switches.gated else net


def _from(argument: str, start: str | None) -> Sequence[str]:
    """Returns the names of the layers from `start` on."""
    if start is None:
        return []
    return _SWITCHABLE[_SWITCHABLE.index(_checks.one_of(argument, start, _SWITCHABLE)) :]


def s3dg(
    inputs: tf.Tensor,
    num_classes: int | None = 1000,
    first_temporal_kernel_size: int = 3,
    temporal_conv_startat: str | None = "Conv2d_2c_3x3",
    gating_startat: str | None = "Conv2d_2c_3x3",
    final_endpoint: str = "Mixed_5c",
    min_depth: int = 16,
    depth_multiplier: float = 1.0,
    dropout_keep_prob: float = 0.8,
    is_training: bool = True,
    prediction_fn: Callable[..., tf.Tensor] = slim.softmax,
    spatial_squeeze: bool = True,
    reuse: Any = None,
    data_format: str = "NDHWC",
    scope: str = "InceptionV1",
) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """Builds S3D-G.

    Args:
      inputs: [batch, time, height, width, channels] (or in the order of `data_format`), 224 x 224
        for one vector of logits each.
      num_classes: number of classes; 0 or None returns the features before the logits.
      first_temporal_kernel_size: see `s3dg_base`.
      temporal_conv_startat: see `s3dg_base`.
      gating_startat: see `s3dg_base`.
      final_endpoint: last layer before the logits.
      min_depth: minimum number of channels of a convolution.
      depth_multiplier: factor for all channels.
      dropout_keep_prob: fraction of the features that dropout keeps.
      is_training: whether batch norm and dropout are in training mode.
      prediction_fn: function from logits to probabilities.
      spatial_squeeze: whether logits of one position become [batch, num_classes].
      reuse: whether the variables are shared; see `slim.variable_scope`.
      data_format: "NDHWC" or "NCDHW".
      scope: name of the variables' scope.

    Returns:
      Logits [batch, num_classes], or [batch, height, width, num_classes] without `spatial_squeeze`;
      or features [batch, height, width, channels], the mean over time; and the end points by name.

    Raises:
      UserError: as `s3dg_base`, and if `spatial_squeeze` meets logits of more than one position.
    """
    with (
        slim.variable_scope(scope, "InceptionV1", reuse=reuse) as sc,
        slim.arg_scope([slim.batch_norm, slim.dropout], is_training=is_training),
    ):
        net, end_points = s3dg_base(
            inputs, first_temporal_kernel_size, temporal_conv_startat, gating_startat,
            final_endpoint, min_depth, depth_multiplier, data_format, scope=sc,
        )  # fmt: skip
        net = i3d_utils.video_logits(
            net, end_points, num_classes, dropout_keep_prob, prediction_fn, spatial_squeeze,
            data_format,
        )  # fmt: skip
    return net, end_points


s3dg.default_image_size = 224
