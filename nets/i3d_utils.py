"""Layers of the two video networks: 3-D convolutions, separable or not, and Inception blocks.

Carreira and Zisserman, "Quo Vadis, Action Recognition?", https://arxiv.org/abs/1705.07750, and Xie
et al., "Rethinking Spatiotemporal Feature Learning", https://arxiv.org/abs/1712.04851.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

import slim
from nets._outputs import squeeze_space
from slim._shapes import static_sizes

Gate = Callable[..., tf.Tensor]


class Mixed(NamedTuple):
    """Numbers of channels of an Inception block, branch by branch as in GoogLeNet's Figure 2(b).

    Attributes:
      one: channels of the 1x1 convolution.
      three: channels of the 1x1 and the 3x3 convolution.
      double: channels of the 1x1 convolution and of the one that is 5x5 in the paper and 3x3 in all
        checkpoints.
      pooled: channels of the 1x1 convolution after the pooling.
    """

    one: int
    three: tuple[int, int]
    double: tuple[int, int]
    pooled: int

    def scaled(self, depth: Callable[[int], int]) -> "Mixed":
        """Returns the row with `depth` applied to each number."""
        one, three, double, pooled = self
        return Mixed(
            depth(one),
            (depth(three[0]), depth(three[1])),
            (depth(double[0]), depth(double[1])),
            depth(pooled),
        )


def center_initializer() -> Callable[..., tf.Tensor]:
    """Returns an initializer with which a convolution over time is the identity.

    The initializer raises ValueError unless the shape is [odd, 1, 1, n, n].
    """

    def initializer(shape: Sequence[int], dtype: tf.DType = tf.float32) -> tf.Tensor:
        time, height, width, channels, outputs = shape if len(shape) == 5 else (0,) * 5
        if time % 2 == 0 or (height, width) != (1, 1) or channels != outputs:
            raise ValueError(
                f"shape={tuple(shape)} is not supported: the identity over time needs an odd "
                "number of frames, a 1 x 1 kernel in space, and equal numbers of inputs and outputs"
            )
        values = np.zeros(shape)
        values[time // 2, 0, 0] = np.eye(channels)
        return tf.constant(values, dtype)

    return initializer


@slim.add_arg_scope
def conv3d_spatiotemporal(
    inputs: tf.Tensor,
    num_outputs: int,
    kernel_size: Sequence[int],
    stride: int | Sequence[int] = 1,
    padding: str = "SAME",
    activation_fn: Callable[[tf.Tensor], tf.Tensor] | None = None,
    normalizer_fn: Callable[..., tf.Tensor] | None = None,
    normalizer_params: Mapping[str, Any] | None = None,
    weights_regularizer: Any = None,
    separable: bool = False,
    data_format: str = "NDHWC",
    *,
    scope: str,
) -> tf.Tensor:
    """Convolves over space and time, in one step or, if `separable`, over space and then over time.

    The convolution over time, `temporal` below the scope, has biases and no normalizer, and is
    initialized to the identity.

    Args:
      inputs: [batch, time, height, width, channels], or in the order of `data_format`.
      num_outputs: number of filters.
      kernel_size: (time, height, width); with a time of 1 there is always one step.
      stride: one number, or (time, height, width).
      padding: "SAME" or "VALID".
      activation_fn: activation after each step; None for a linear output.
      normalizer_fn: normalizer in place of biases, such as `slim.batch_norm`.
      normalizer_params: keyword arguments of the normalizer.
      weights_regularizer: penalty on the weights over space; those over time have the penalty that
        an arg_scope sets for `slim.conv3d`.
      separable: whether to convolve in two steps.
      data_format: "NDHWC" or "NCDHW".
      scope: name of the layer.
    """
    common = {"padding": padding, "activation_fn": activation_fn, "data_format": data_format}
    spatial = {
        **common,
        "normalizer_fn": normalizer_fn,
        "normalizer_params": normalizer_params,
        "weights_regularizer": weights_regularizer,
        "scope": scope,
    }
    time, *space = kernel_size
    if not separable or time == 1:
        return slim.conv3d(inputs, num_outputs, kernel_size, stride=stride, **spatial)
    time_stride, *space_stride = [stride] * 3 if isinstance(stride, int) else stride
    net = slim.conv3d(inputs, num_outputs, [1, *space], stride=[1, *space_stride], **spatial)
    return slim.conv3d(
        net,
        num_outputs,
        [time, 1, 1],
        stride=[time_stride, 1, 1],
        normalizer_fn=None,
        weights_initializer=center_initializer(),
        scope=f"{scope}/temporal",
        **common,
    )


def inception_block_v1_3d(
    inputs: tf.Tensor,
    channels: Mixed,
    temporal_kernel_size: int = 3,
    self_gating_fn: Gate | None = None,
    data_format: str = "NDHWC",
    *,
    scope: str,
) -> tf.Tensor:
    """Builds an Inception block over space and time.

    Args:
      inputs: [batch, time, height, width, channels], or in the order of `data_format`.
      channels: numbers of channels of each branch.
      temporal_kernel_size: kernel size over time of the 3x3 convolutions, in frames.
      self_gating_fn: function `(net, scope) -> net` applied to the end of each branch, or None.
      data_format: "NDHWC" or "NCDHW".
      scope: name of the block.

    Returns:
      The concatenated branches, with the inputs' size.
    """
    branches: list[tf.Tensor] = []
    kernel = [temporal_kernel_size, 3, 3]

    def finish(net: tf.Tensor, last: str) -> None:
        branches.append(self_gating_fn(net, scope=last) if self_gating_fn else net)

    with slim.variable_scope(scope):
        with slim.variable_scope("Branch_0"):
            net = slim.conv3d(inputs, channels.one, [1, 1, 1], scope="Conv2d_0a_1x1")
            finish(net, "Conv2d_0a_1x1")
        for name, (reduced, outputs) in (
            ("Branch_1", channels.three),
            ("Branch_2", channels.double),
        ):
            with slim.variable_scope(name):
                net = slim.conv3d(inputs, reduced, [1, 1, 1], scope="Conv2d_0a_1x1")
                net = conv3d_spatiotemporal(net, outputs, kernel, scope="Conv2d_0b_3x3")
                finish(net, "Conv2d_0b_3x3")
        with slim.variable_scope("Branch_3"):
            net = slim.max_pool3d(inputs, [3, 3, 3], scope="MaxPool_0a_3x3")
            net = slim.conv3d(net, channels.pooled, [1, 1, 1], scope="Conv2d_0b_1x1")
            finish(net, "Conv2d_0b_1x1")
        return tf.concat(branches, data_format.index("C"))


def video_logits(
    net: tf.Tensor,
    end_points: dict[str, tf.Tensor],
    num_classes: int | None,
    dropout_keep_prob: float,
    prediction_fn: Callable[..., tf.Tensor],
    spatial_squeeze: bool,
    data_format: str = "NDHWC",
) -> tf.Tensor:
    """Pools over the image, computes logits for each moment and averages them over time.

    Args:
      net: last feature maps, 7 x 7 for videos of 224 x 224.
      end_points: the end points so far; `Logits` and `Predictions` are added.
      num_classes: number of classes; 0 or None returns the pooled features.
      dropout_keep_prob: fraction of the features that dropout keeps.
      prediction_fn: function from logits to probabilities.
      spatial_squeeze: whether logits of one position become [batch, num_classes].
      data_format: "NDHWC" or "NCDHW".

    Returns:
      Logits, or features [batch, 1, 1, channels].

    Raises:
      UserError: if `spatial_squeeze` meets logits of more than one position.
    """
    with slim.variable_scope("Logits"):
        if data_format == "NCDHW":
            net = tf.transpose(net, [0, 2, 3, 4, 1])
        limits = zip(static_sizes(net)[1:4], (2, 7, 7), strict=True)
        kernel = [min(size or limit, limit) for size, limit in limits]
        net = slim.avg_pool3d(net, kernel, stride=1, scope="AvgPool_0a_7x7")
        if not num_classes:
            return tf.reduce_mean(net, axis=1)
        net = slim.dropout(net, dropout_keep_prob, scope="Dropout_0b")
        net = slim.conv3d(
            net, num_classes, [1, 1, 1], activation_fn=None, normalizer_fn=None,
            scope="Conv2d_0c_1x1",
        )  # fmt: skip
        net = tf.reduce_mean(net, axis=1)
        if spatial_squeeze:
            net = squeeze_space(net, "SpatialSqueeze")
        end_points["Logits"] = net
        end_points["Predictions"] = prediction_fn(net, scope="Predictions")
        return net


def video_arg_scope(
    weight_decay: float, batch_norm_decay: float, batch_norm_epsilon: float, separable: bool
) -> Any:
    """Returns the scope of a video network's layers; see `i3d.i3d_arg_scope`."""
    batch_norm = {
        "decay": batch_norm_decay,
        "epsilon": batch_norm_epsilon,
        "fused": False,
        "variables_collections": {
            "moving_mean": ["moving_vars"],
            "moving_variance": ["moving_vars"],
        },
    }
    with (
        slim.arg_scope(
            [slim.conv3d, conv3d_spatiotemporal],
            weights_regularizer=slim.l2_regularizer(weight_decay),
            activation_fn=tf.nn.relu,
            normalizer_fn=slim.batch_norm,
            normalizer_params=batch_norm,
        ),
        slim.arg_scope([conv3d_spatiotemporal], separable=separable) as scope,
    ):
        return scope
