"""MobileNet v2: inverted residuals with linear bottlenecks.

Sandler et al., "MobileNetV2: Inverted Residuals and Linear Bottlenecks",
https://arxiv.org/abs/1801.04381, Table 2.
"""

from typing import Any

import tensorflow as tf

import slim
from nets._variants import variant
from nets.mobilenet import blocks, network
from nets.mobilenet.network import ConvDefs, op
from slim import _checks

training_scope = network.training_scope

_CONVOLUTIONS = (slim.conv2d, slim.fully_connected, slim.separable_conv2d)

_EXPANSION = 6  # in the table's defaults, so that `overrides` can change it

# fmt: off
_TABLE_2 = (
    # expansion t, channels c, repetitions n, stride s of the first of them
    (1,  16, 1, 1),  # 112x112
    (6,  24, 2, 2),  # 56x56
    (6,  32, 3, 2),  # 28x28
    (6,  64, 4, 2),  # 14x14
    (6,  96, 3, 1),
    (6, 160, 3, 2),  # 7x7
    (6, 320, 1, 1),
)
# fmt: on


def _bottlenecks() -> list[network.Op]:
    rows = []
    for expansion, channels, repetitions, stride in _TABLE_2:
        arguments = {}
        if expansion != _EXPANSION:
            # Rounding to a multiple of 8 could expand the first block, which must not expand.
            size = blocks.expand_input_by_factor(expansion, divisible_by=1)
            arguments = {"expansion_size": size}
        for number in range(repetitions):
            step = 1 if number else stride
            rows.append(op(blocks.expanded_conv, stride=step, num_outputs=channels, **arguments))
    return rows


def _definition(normalizer_fn: Any, **normalizer_arguments: Any) -> ConvDefs:
    return {
        "defaults": {
            (normalizer_fn,): normalizer_arguments,  # the architecture's; training has its own
            _CONVOLUTIONS: {"normalizer_fn": normalizer_fn, "activation_fn": tf.nn.relu6},
            (blocks.expanded_conv,): {
                "expansion_size": blocks.expand_input_by_factor(_EXPANSION),
                "normalizer_fn": normalizer_fn,
                "residual": True,
            },
            (slim.conv2d, slim.separable_conv2d): {"padding": "SAME"},
        },
        "spec": [
            op(slim.conv2d, stride=2, num_outputs=32, kernel_size=[3, 3]),
            *_bottlenecks(),
            op(slim.conv2d, stride=1, num_outputs=1280, kernel_size=[1, 1]),
        ],
    }


V2_DEF = _definition(slim.batch_norm, center=True, scale=True)
V2_DEF_GROUP_NORM = _definition(slim.group_norm)


@slim.add_arg_scope
def mobilenet(
    images: tf.Tensor,
    num_classes: int | None = 1001,
    depth_multiplier: float = 1.0,
    scope: Any = "MobilenetV2",
    conv_defs: ConvDefs | None = None,
    finegrain_classification_mode: bool = False,
    min_depth: int | None = None,
    divisible_by: int | None = None,
    activation_fn: Any = None,
    *,
    dropout_keep_prob: float | None = None,
    **kwargs: Any,
) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """Builds MobileNet v2, by default in inference mode (see `training_scope`).

    Args:
      images: [batch, 224, 224, channels]; other sizes work too.
      num_classes: number of classes; 0 or None returns the pooled features.
      depth_multiplier: factor for the channels of all layers.
      scope: name of the variables' scope.
      conv_defs: the table of layers; default: `V2_DEF`.
      finegrain_classification_mode: whether a multiplier below 1 leaves the last layer unscaled, as
        in section 6.1 of the paper.
      min_depth: minimum number of channels of a layer.
      divisible_by: divisor of the layers' numbers of channels.
      activation_fn: activation in place of ReLU6.
      dropout_keep_prob: fraction of the features that dropout keeps; default: `training_scope`'s.
      **kwargs: more for `network.mobilenet`: `is_training`, `final_endpoint`, `output_stride`,
        `use_explicit_padding`, `prediction_fn`, `reuse`, `base_only`.

    Returns:
      Logits [batch, num_classes] or features [batch, 1, 1, channels], and the end points by name.

    Raises:
      UserError: if the end point is not known, a multiplier, depth or divisor is not positive, or
        the rows do not reach `output_stride`.
    """
    _checks.positive(depth_multiplier=depth_multiplier)
    conv_defs = V2_DEF if conv_defs is None else conv_defs
    if finegrain_classification_mode and depth_multiplier < 1:
        last = conv_defs["spec"][-1].params
        last = {**last, "num_outputs": last["num_outputs"] / depth_multiplier}
        conv_defs = network.with_last_row(conv_defs, params=last)
    if activation_fn is not None:
        conv_defs = _with_activation(conv_defs, activation_fn)
    with network.depths(min_depth, divisible_by):
        return network.mobilenet(
            images,
            num_classes,
            scope=scope,
            conv_defs=conv_defs,
            multiplier=depth_multiplier,
            dropout_keep_prob=dropout_keep_prob,
            **kwargs,
        )


mobilenet.default_image_size = 224

# The narrow ones do not scale the last layer, as in the published checkpoints.
mobilenet_v2_140 = variant(mobilenet, depth_multiplier=1.4)
mobilenet_v2_050 = variant(mobilenet, depth_multiplier=0.50, finegrain_classification_mode=True)
mobilenet_v2_035 = variant(mobilenet, depth_multiplier=0.35, finegrain_classification_mode=True)


def _with_activation(conv_defs: ConvDefs, activation_fn: Any) -> ConvDefs:
    defaults = conv_defs.get("defaults", {})
    convolutions = {**defaults.get(_CONVOLUTIONS, {}), "activation_fn": activation_fn}
    return {**conv_defs, "defaults": {**defaults, _CONVOLUTIONS: convolutions}}


@slim.add_arg_scope
def mobilenet_base(
    images: tf.Tensor, depth_multiplier: float = 1.0, **kwargs: Any
) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """Builds the layers of MobileNet v2, without pooling and logits.

    Args:
      images: [batch, height, width, channels].
      depth_multiplier: factor for the channels of all layers.
      **kwargs: more for `mobilenet`.

    Returns:
      The last layer's output, and the end points by name.
    """
    return mobilenet(images, depth_multiplier=depth_multiplier, base_only=True, **kwargs)


@slim.add_arg_scope
def mobilenet_base_group_norm(
    images: tf.Tensor, depth_multiplier: float = 1.0, groups: int = 8, **kwargs: Any
) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """Builds the layers of MobileNet v2 with group norm in place of batch norm.

    Args:
      images: [batch, height, width, channels].
      depth_multiplier: factor for the channels of all layers.
      groups: number of groups of channels, each normalized together; must divide the number of
        channels of each layer.
      **kwargs: more for `mobilenet`.

    Returns:
      The last layer's output, and the end points by name.
    """
    with slim.arg_scope([slim.group_norm], groups=groups):
        return mobilenet_base(images, depth_multiplier, conv_defs=V2_DEF_GROUP_NORM, **kwargs)
