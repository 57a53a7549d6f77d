"""MobileNet v3, its minimalistic variants, and the variant for the Edge TPU.

Howard et al., "Searching for MobileNetV3", https://arxiv.org/abs/1905.02244, Tables 1 and 2. The
minimalistic ones have no squeeze-excite, no hard swish and no 5x5 kernels; the Edge TPU's has full
convolutions in place of depthwise ones in its first part (https://arxiv.org/abs/2003.02838).

Irregular, as in the published checkpoints:
  * the gate of squeeze-excite multiplies by 0.16667, hard swish by 1/6;
  * hard swish is `x * relu6(x + 3) * (1 / 6)`, in this order;
  * the last 1x1 convolution of the small network has no squeeze-excite, unlike Table 2;
  * the 1x1 convolution after the pooling has biases and no batch norm;
  * the first block of the Edge TPU's network is its 1x1 projection alone.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

import slim
from nets._variants import variant
from nets.mobilenet import blocks, network
from nets.mobilenet.network import ConvDefs, op
from slim import _checks
from slim._shapes import static_sizes

training_scope = network.training_scope


def hard_swish(x: tf.Tensor) -> tf.Tensor:
    """Returns x * relu6(x + 3) / 6."""
    with tf.name_scope("hard_swish"):
        return x * tf.nn.relu6(x + np.float32(3)) * np.float32(1.0 / 6.0)


def hard_sigmoid_gate(x: tf.Tensor) -> tf.Tensor:
    """Returns relu6(x + 3) * 0.16667, the checkpoints' approximation of a sixth."""
    return tf.nn.relu6(x + 3) * 0.16667


def squeeze_excite(expansion_tensor: tf.Tensor, input_tensor: tf.Tensor) -> tf.Tensor:
    """Gates the channels of a block's expansion by a quarter of them; see `blocks.squeeze_excite`.

    Args:
      expansion_tensor: [batch, height, width, channels].
      input_tensor: the block's input, not used.
    """
    del input_tensor
    return blocks.squeeze_excite(expansion_tensor, squeeze_factor=4, gating_fn=hard_sigmoid_gate)


def reduce_to_1x1(
    images: tf.Tensor, default_size: int = 7, stride: int = 1, padding: str = "VALID"
) -> tf.Tensor:
    """Averages over the whole image if it is a square of known size, otherwise over windows.

    Args:
      images: [batch, height, width, channels].
      default_size: size of the windows, at most that of the image where it is known.
      stride: stride of the windows.
      padding: "VALID" or "SAME".
    """
    height, width = static_sizes(images)[1:3]
    if height is None or height != width:
        height, width = (min(size or default_size, default_size) for size in (height, width))
    return slim.avg_pool2d(images, [height, width], stride, padding)


class Block(NamedTuple):
    """A row of the paper's tables.

    Attributes:
      kernel: height and width of the filters.
      expansion: inner channels ("exp size") at a depth multiplier of 1.
      depth: channels of the output.
      squeeze_excite: whether there is a squeeze-excite.
      activation_fn: activation of the inner layers.
      stride: stride of the filters.
      fused: see `blocks.expanded_conv`.
      residual: whether the input is added where the shapes agree.
    """

    kernel: int
    expansion: int
    depth: int
    squeeze_excite: bool
    activation_fn: Callable[[tf.Tensor], tf.Tensor]
    stride: int
    fused: bool = False
    residual: bool = True


_HS, _RE = hard_swish, tf.nn.relu
_SE, __ = True, False

# fmt: off
_TABLE_1_LARGE = (
    Block(3,  16,  16, __,  _RE, 1),  # 112x112
    Block(3,  64,  24, __,  _RE, 2),  # 56x56
    Block(3,  72,  24, __,  _RE, 1),
    Block(5,  72,  40, _SE, _RE, 2),  # 28x28
    Block(5, 120,  40, _SE, _RE, 1),
    Block(5, 120,  40, _SE, _RE, 1),
    Block(3, 240,  80, __,  _HS, 2),  # 14x14
    Block(3, 200,  80, __,  _HS, 1),
    Block(3, 184,  80, __,  _HS, 1),
    Block(3, 184,  80, __,  _HS, 1),
    Block(3, 480, 112, _SE, _HS, 1),
    Block(3, 672, 112, _SE, _HS, 1),
    Block(5, 672, 160, _SE, _HS, 2),  # 7x7
    Block(5, 960, 160, _SE, _HS, 1),
    Block(5, 960, 160, _SE, _HS, 1),
)
_TABLE_2_SMALL = (
    Block(3,  16,  16, _SE, _RE, 2),  # 56x56
    Block(3,  72,  24, __,  _RE, 2),  # 28x28
    Block(3,  88,  24, __,  _RE, 1),
    Block(5,  96,  40, _SE, _HS, 2),  # 14x14
    Block(5, 240,  40, _SE, _HS, 1),
    Block(5, 240,  40, _SE, _HS, 1),
    Block(5, 120,  48, _SE, _HS, 1),
    Block(5, 144,  48, _SE, _HS, 1),
    Block(5, 288,  96, _SE, _HS, 2),  # 7x7
    Block(5, 576,  96, _SE, _HS, 1),
    Block(5, 576,  96, _SE, _HS, 1),
)
_EDGETPU = (
    Block(3,   32,  16, __, _RE, 1, fused=True),  # 112x112
    Block(3,  128,  32, __, _RE, 2, fused=True),  # 56x56
    *[Block(3, 128, 32, __, _RE, 1, fused=True)] * 3,
    Block(3,  256,  48, __, _RE, 2, fused=True),  # 28x28
    *[Block(3, 192, 48, __, _RE, 1, fused=True)] * 3,
    Block(3,  384,  96, __, _RE, 2),  # 14x14
    *[Block(3, 384, 96, __, _RE, 1)] * 3,
    Block(3,  768,  96, __, _RE, 1, residual=False),
    *[Block(3, 384, 96, __, _RE, 1)] * 3,
    Block(5,  768, 160, __, _RE, 2),  # 7x7
    *[Block(5, 640, 160, __, _RE, 1)] * 3,
    Block(3, 1280, 192, __, _RE, 1),
)
# fmt: on

_DEFAULTS = {
    (blocks.expanded_conv,): {"normalizer_fn": slim.batch_norm, "residual": True},
    (slim.conv2d, slim.fully_connected, slim.separable_conv2d): {
        "normalizer_fn": slim.batch_norm,
        "activation_fn": tf.nn.relu,
    },
    (slim.batch_norm,): {"center": True, "scale": True},
}


def _minimalistic(rows: Sequence[Block]) -> list[Block]:
    return [row._replace(kernel=3, squeeze_excite=False, activation_fn=_RE) for row in rows]


def _rows(table: Sequence[Block], depth: int) -> list[network.Op]:
    """Returns the rows for a table whose first block has an input of `depth` channels."""
    rows = []
    for row in table:
        # The paper's numbers, as factors of the input that a depth multiplier scales too.
        rows.append(
            op(
                blocks.expanded_conv,
                expansion_size=blocks.expand_input_by_factor(row.expansion / depth),
                kernel_size=(row.kernel, row.kernel),
                stride=row.stride,
                num_outputs=row.depth,
                inner_activation_fn=row.activation_fn,
                expansion_transform=squeeze_excite if row.squeeze_excite else None,
                fused=row.fused,
                residual=row.residual,
            )
        )
        depth = row.depth
    return rows


def _definition(
    table: Sequence[Block], last: int, features: int, activation_fn: Callable[..., tf.Tensor]
) -> ConvDefs:
    """Returns the table of a classifier that pools before its last layer."""
    pointwise = {"stride": 1, "kernel_size": [1, 1], "activation_fn": activation_fn}
    return {
        "defaults": _DEFAULTS,
        "spec": [
            op(slim.conv2d, stride=2, num_outputs=16, kernel_size=(3, 3),
               activation_fn=activation_fn),
            *_rows(table, 16),
            op(slim.conv2d, num_outputs=last, **pointwise),
            op(reduce_to_1x1, default_size=7, stride=1, padding="VALID"),
            op(slim.conv2d, num_outputs=features, normalizer_fn=None, **pointwise),
        ],
    }  # fmt: skip


def _half_depth(conv_defs: ConvDefs, first: int, last: int) -> ConvDefs:
    """Returns a table with half the channels in the rows `first` to `last`, for detectors."""
    rows = list(conv_defs["spec"])
    for number in range(first, last + 1):
        depth = round(rows[number].params["num_outputs"] * 0.5)
        rows[number] = rows[number]._replace(params={**rows[number].params, "num_outputs": depth})
    return {**conv_defs, "spec": rows}


V3_LARGE = _definition(_TABLE_1_LARGE, 960, 1280, _HS)
V3_SMALL = _definition(_TABLE_2_SMALL, 576, 1024, _HS)
V3_LARGE_MINIMALISTIC = _definition(_minimalistic(_TABLE_1_LARGE), 960, 1280, _RE)
V3_SMALL_MINIMALISTIC = _definition(_minimalistic(_TABLE_2_SMALL), 576, 1024, _RE)
V3_EDGETPU = {
    "defaults": _DEFAULTS,
    "spec": [
        op(slim.conv2d, stride=2, num_outputs=32, kernel_size=(3, 3)),
        *_rows(_EDGETPU, 32),
        op(slim.conv2d, stride=1, num_outputs=1280, kernel_size=(1, 1)),
    ],
}
V3_LARGE_DETECTION = _half_depth(V3_LARGE, 13, 16)
V3_SMALL_DETECTION = _half_depth(V3_SMALL, 9, 12)


@slim.add_arg_scope
def mobilenet(
    images: tf.Tensor,
    num_classes: int | None = 1001,
    depth_multiplier: float = 1.0,
    scope: Any = "MobilenetV3",
    conv_defs: ConvDefs | None = None,
    finegrain_classification_mode: bool = False,
    *,
    min_depth: int | None = None,
    divisible_by: int | None = None,
    dropout_keep_prob: float | None = None,
    **kwargs: Any,
) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """Builds MobileNet v3, by default in inference mode (see `training_scope`).

    Args:
      images: [batch, 224, 224, channels]; other sizes work too.
      num_classes: number of classes; 0 or None returns the pooled features.
      depth_multiplier: factor for the channels of all layers.
      scope: name of the variables' scope.
      conv_defs: the table of layers; default: `V3_LARGE`.
      finegrain_classification_mode: whether the last layer is not scaled by the multiplier.
      min_depth: minimum number of channels of a layer.
      divisible_by: divisor of the layers' numbers of channels.
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
    conv_defs = V3_LARGE if conv_defs is None else conv_defs
    if finegrain_classification_mode:
        conv_defs = network.with_last_row(conv_defs, multiplier_func=network.unscaled)
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


@slim.add_arg_scope
def mobilenet_base(
    images: tf.Tensor, depth_multiplier: float = 1.0, **kwargs: Any
) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """Builds the layers of MobileNet v3, without the head's pooling and logits.

    Args:
      images: [batch, height, width, channels].
      depth_multiplier: factor for the channels of all layers.
      **kwargs: more for `mobilenet`.

    Returns:
      The last layer's output, and the end points by name.
    """
    return mobilenet(images, depth_multiplier=depth_multiplier, base_only=True, **kwargs)


large = variant(mobilenet, conv_defs=V3_LARGE)
small = variant(mobilenet, conv_defs=V3_SMALL)
large_minimalistic = variant(mobilenet, conv_defs=V3_LARGE_MINIMALISTIC)
small_minimalistic = variant(mobilenet, conv_defs=V3_SMALL_MINIMALISTIC)
edge_tpu = variant(mobilenet, scope="MobilenetEdgeTPU", conv_defs=V3_EDGETPU)
edge_tpu_075 = variant(
    mobilenet,
    scope="MobilenetEdgeTPU",
    conv_defs=V3_EDGETPU,
    depth_multiplier=0.75,
    finegrain_classification_mode=True,
)
