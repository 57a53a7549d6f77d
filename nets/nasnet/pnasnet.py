"""PNASNet-5 for ImageNet, mobile and large.

Liu et al., "Progressive Neural Architecture Search", https://arxiv.org/abs/1712.00559, figure 1.
There is one kind of cell; a reduction is that cell with a stride of 2. All variables are at the top
level, as NASNet's.
"""

from typing import Any

import tensorflow as tf

from nets.nasnet.cells import PNASNET
from nets.nasnet.config import NasnetConfig
from nets.nasnet.nasnet import nasnet_large_arg_scope, nasnet_mobile_arg_scope
from nets.nasnet.network import (
    Row,
    aux_cell,
    build_network,
    imagenet_stem,
    imagenet_stem_rows,
    reduction_cells,
)


def mobile_imagenet_config() -> NasnetConfig:
    """Returns the configuration of the mobile network for ImageNet."""
    return NasnetConfig(
        num_cells=9,
        num_conv_filters=54,
        stem_multiplier=1.0,
        drop_path_keep_prob=1.0,
        dense_dropout_keep_prob=0.5,
        skip_reduction_layer_input=True,
    )


def large_imagenet_config() -> NasnetConfig:
    """Returns the configuration of the large network for ImageNet."""
    return NasnetConfig(
        num_cells=12,
        num_conv_filters=216,
        stem_multiplier=3.0,
        drop_path_keep_prob=0.6,
        dense_dropout_keep_prob=0.5,
        skip_reduction_layer_input=True,
    )


def _rows(config: NasnetConfig) -> list[Row]:
    reductions, scaling = reduction_cells(config), 1.0
    rows = imagenet_stem_rows(PNASNET, config)
    for number in range(config.num_cells):
        stride, prev = 1, -2
        if number in reductions:
            scaling *= config.filter_scaling_rate
            stride, prev = 2, -2 if config.skip_reduction_layer_input else -3
        filters = int(config.num_conv_filters * scaling)
        aux_scope = f"aux_{number}" if number == aux_cell(config) else None
        end_point = f"Cell_{number}"
        rows.append(Row(f"cell_{number}", PNASNET, filters, stride, prev, end_point, aux_scope))
    return rows


def build_pnasnet_mobile(
    images: tf.Tensor,
    num_classes: int | None,
    is_training: bool = True,
    final_endpoint: str | None = None,
    config: NasnetConfig | None = None,
    current_step: Any = None,
) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """Builds the mobile PNASNet-5 for ImageNet, 5.1 million parameters, 587 million multiply-adds.

    Args:
      images: [batch, 224, 224, channels]; other sizes work too.
      num_classes: number of classes; 0 or None returns the features before the last layer.
      is_training: whether batch norm, dropout and the auxiliary head are on.
      final_endpoint: end point to stop at: "Stem", "Cell_3", ...
      config: `mobile_imagenet_config()` by default.
      current_step: training step for drop path, where `config` has it; the store's by default.

    Returns:
      Logits [batch, num_classes], or features [batch, 1080], or the final end point; and the end
      points by name, in training with "AuxLogits".

    Raises:
      UserError: if `final_endpoint` is not known.
    """
    config = config or mobile_imagenet_config()
    return _build(images, config, num_classes, is_training, final_endpoint, current_step)


def build_pnasnet_large(
    images: tf.Tensor,
    num_classes: int | None,
    is_training: bool = True,
    final_endpoint: str | None = None,
    config: NasnetConfig | None = None,
    current_step: Any = None,
) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """Builds the large PNASNet-5 for ImageNet, 86.1 million parameters, 24.9 billion multiply-adds.

    Args:
      images: [batch, 331, 331, channels]; other sizes work too.
      num_classes: number of classes; 0 or None returns the features before the last layer.
      is_training: whether batch norm, dropout, drop path and the auxiliary head are on.
      final_endpoint: end point to stop at: "Stem", "Cell_4", ...
      config: `large_imagenet_config()` by default.
      current_step: training step for drop path; the store's global step by default.

    Returns:
      Logits [batch, num_classes], or features [batch, 4320], or the final end point; and the end
      points by name, in training with "AuxLogits".

    Raises:
      UserError: if `final_endpoint` is not known.
    """
    config = config or large_imagenet_config()
    return _build(images, config, num_classes, is_training, final_endpoint, current_step)


build_pnasnet_mobile.default_image_size = 224
build_pnasnet_large.default_image_size = 331


def _build(
    images: tf.Tensor,
    config: NasnetConfig,
    num_classes: int | None,
    is_training: bool,
    final_endpoint: str | None,
    current_step: Any,
) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    return build_network(
        images,
        imagenet_stem,
        _rows(config),
        config,
        num_classes=num_classes,
        is_training=is_training,
        final_endpoint=final_endpoint,
        current_step=current_step,
    )


def pnasnet_mobile_arg_scope(
    weight_decay: float = 4e-5, batch_norm_decay: float = 0.9997, batch_norm_epsilon: float = 1e-3
) -> Any:
    """Returns the scope of the layers of `build_pnasnet_mobile`; see `nasnet_cifar_arg_scope`."""
    return nasnet_mobile_arg_scope(weight_decay, batch_norm_decay, batch_norm_epsilon)


def pnasnet_large_arg_scope(
    weight_decay: float = 4e-5, batch_norm_decay: float = 0.9997, batch_norm_epsilon: float = 1e-3
) -> Any:
    """Returns the scope of the layers of `build_pnasnet_large`; see `nasnet_cifar_arg_scope`."""
    return nasnet_large_arg_scope(weight_decay, batch_norm_decay, batch_norm_epsilon)
