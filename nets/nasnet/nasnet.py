"""NASNet-A for CIFAR-10 and for ImageNet, mobile and large.

Zoph et al., "Learning Transferable Architectures for Scalable Image Recognition",
https://arxiv.org/abs/1707.07012: NASNet-A (6 @ 768), (4 @ 1056) and (6 @ 4032) of tables 1 to 3.
Normal and reduction cells alternate in three stages. All variables are at the top level, without a
scope of the network's name; the published checkpoints have it so.
"""

from typing import Any

import tensorflow as tf

import slim
from nets.nasnet.cells import NASNET_NORMAL, NASNET_REDUCTION
from nets.nasnet.config import NasnetConfig
from nets.nasnet.network import (
    Row,
    aux_cell,
    build_network,
    cifar_stem,
    imagenet_stem,
    imagenet_stem_rows,
    reduction_cells,
)


def cifar_config() -> NasnetConfig:
    """Returns the configuration for CIFAR-10.

    As its authors trained it: batches of 32, learning rate 0.025 with one period of cosine decay,
    auxiliary loss weighted 0.4, global gradient norm clipped to 5, 600 epochs.
    """
    return NasnetConfig(
        num_cells=18,
        num_conv_filters=32,
        stem_multiplier=3.0,
        drop_path_keep_prob=0.6,
        dense_dropout_keep_prob=1.0,
        skip_reduction_layer_input=False,
        total_training_steps=937500,  # 600 epochs of 50,000 images by 32
    )


def mobile_imagenet_config() -> NasnetConfig:
    """Returns the configuration of the mobile network for ImageNet.

    As its authors trained it: 50 replicas with batches of 32, learning rate 2.0, decayed by 0.97
    every 2.4 epochs, auxiliary loss weighted 0.4, label smoothing 0.1, gradient norm clipped to 10.
    """
    return NasnetConfig(
        num_cells=12,
        num_conv_filters=44,
        stem_multiplier=1.0,
        drop_path_keep_prob=1.0,
        dense_dropout_keep_prob=0.5,
        skip_reduction_layer_input=False,
    )


def large_imagenet_config() -> NasnetConfig:
    """Returns the configuration of the large network for ImageNet.

    As its authors trained it: 100 replicas with batches of 16, learning rate 1.5; the rest as for
    the mobile network.
    """
    return NasnetConfig(
        num_cells=18,
        num_conv_filters=168,
        stem_multiplier=3.0,
        drop_path_keep_prob=0.7,
        dense_dropout_keep_prob=0.5,
        skip_reduction_layer_input=True,
    )


def _rows(config: NasnetConfig) -> list[Row]:
    """Returns the cells after the stem, a reduction before the first normal cell of a stage."""
    reductions, scaling, rows = reduction_cells(config), 1.0, []
    for number in range(config.num_cells):
        prev = -2
        if number in reductions:
            scaling *= config.filter_scaling_rate
            filters, index = int(config.num_conv_filters * scaling), reductions.index(number)
            scope, end_point = f"reduction_cell_{index}", f"Reduction_Cell_{index}"
            rows.append(Row(scope, NASNET_REDUCTION, filters, 2, -2, end_point))
            prev = -3 if config.skip_reduction_layer_input else -2
        filters = int(config.num_conv_filters * scaling)
        aux_scope = f"aux_{number}" if number == aux_cell(config) else None
        rows.append(
            Row(f"cell_{number}", NASNET_NORMAL, filters, 1, prev, f"Cell_{number}", aux_scope)
        )
    return rows


def build_nasnet_cifar(
    images: tf.Tensor,
    num_classes: int | None,
    is_training: bool = True,
    config: NasnetConfig | None = None,
    current_step: Any = None,
    final_endpoint: str | None = None,
) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """Builds NASNet-A for CIFAR-10, 3.3 million parameters.

    Args:
      images: [batch, 32, 32, channels]; other sizes work too.
      num_classes: number of classes; 0 or None returns the features before the last layer.
      is_training: whether batch norm, drop path and the auxiliary head are on.
      config: `cifar_config()` by default.
      current_step: training step for drop path; the store's global step by default.
      final_endpoint: end point to stop at: "Stem", "Cell_5", "Reduction_Cell_0", ...

    Returns:
      Logits [batch, num_classes], or features [batch, 768], or the final end point; and the end
      points by name, in training with "AuxLogits".

    Raises:
      UserError: if `final_endpoint` is not known.
    """
    config = config or cifar_config()
    return build_network(
        images,
        cifar_stem,
        _rows(config),
        config,
        num_classes=num_classes,
        is_training=is_training,
        final_endpoint=final_endpoint,
        current_step=current_step,
    )


def build_nasnet_mobile(
    images: tf.Tensor,
    num_classes: int | None,
    is_training: bool = True,
    final_endpoint: str | None = None,
    config: NasnetConfig | None = None,
    current_step: Any = None,
) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """Builds the mobile NASNet-A for ImageNet, 5.3 million parameters, 564 million multiply-adds.

    Args:
      images: [batch, 224, 224, channels]; other sizes work too.
      num_classes: number of classes; 0 or None returns the features before the last layer.
      is_training: whether batch norm, dropout and the auxiliary head are on.
      final_endpoint: end point to stop at: "Stem", "Cell_3", "Reduction_Cell_0", ...
      config: `mobile_imagenet_config()` by default.
      current_step: training step for drop path, where `config` has it; the store's by default.

    Returns:
      Logits [batch, num_classes], or features [batch, 1056], or the final end point; and the end
      points by name, in training with "AuxLogits".

    Raises:
      UserError: if `final_endpoint` is not known.
    """
    return _build_imagenet(
        images,
        config or mobile_imagenet_config(),
        num_classes=num_classes,
        is_training=is_training,
        final_endpoint=final_endpoint,
        current_step=current_step,
    )


def build_nasnet_large(
    images: tf.Tensor,
    num_classes: int | None,
    is_training: bool = True,
    final_endpoint: str | None = None,
    config: NasnetConfig | None = None,
    current_step: Any = None,
) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """Builds the large NASNet-A for ImageNet, 88.8 million parameters, 23.8 billion multiply-adds.

    Args:
      images: [batch, 331, 331, channels]; other sizes work too.
      num_classes: number of classes; 0 or None returns the features before the last layer.
      is_training: whether batch norm, dropout, drop path and the auxiliary head are on.
      final_endpoint: end point to stop at: "Stem", "Cell_5", "Reduction_Cell_0", ...
      config: `large_imagenet_config()` by default.
      current_step: training step for drop path; the store's global step by default.

    Returns:
      Logits [batch, num_classes], or features [batch, 4032], or the final end point; and the end
      points by name, in training with "AuxLogits".

    Raises:
      UserError: if `final_endpoint` is not known.
    """
    return _build_imagenet(
        images,
        config or large_imagenet_config(),
        num_classes=num_classes,
        is_training=is_training,
        final_endpoint=final_endpoint,
        current_step=current_step,
    )


build_nasnet_cifar.default_image_size = 32
build_nasnet_mobile.default_image_size = 224
build_nasnet_large.default_image_size = 331


def _build_imagenet(images: tf.Tensor, config: NasnetConfig, **kwargs: Any) -> Any:
    rows = imagenet_stem_rows(NASNET_REDUCTION, config) + _rows(config)
    return build_network(images, imagenet_stem, rows, config, **kwargs)


def nasnet_cifar_arg_scope(
    weight_decay: float = 5e-4, batch_norm_decay: float = 0.9, batch_norm_epsilon: float = 1e-5
) -> Any:
    """Returns the scope of the layers of `build_nasnet_cifar`.

    Args:
      weight_decay: coefficient of the L2 penalty on the weights.
      batch_norm_decay: of the moving averages.
      batch_norm_epsilon: added to the variance.
    """
    batch_norm = {"decay": batch_norm_decay, "epsilon": batch_norm_epsilon}
    with (
        slim.arg_scope(
            [slim.fully_connected, slim.conv2d, slim.separable_conv2d],
            weights_regularizer=slim.l2_regularizer(weight_decay),
            weights_initializer=slim.variance_scaling_initializer(mode="FAN_OUT"),
            activation_fn=None,
        ),
        slim.arg_scope([slim.fully_connected], scope="FC"),
        slim.arg_scope([slim.conv2d, slim.separable_conv2d], biases_initializer=None),
        slim.arg_scope([slim.batch_norm], scale=True, fused=True, **batch_norm) as scope,
    ):
        return scope


def nasnet_mobile_arg_scope(
    weight_decay: float = 4e-5, batch_norm_decay: float = 0.9997, batch_norm_epsilon: float = 1e-3
) -> Any:
    """Returns the scope of the layers of `build_nasnet_mobile`; see `nasnet_cifar_arg_scope`."""
    return nasnet_cifar_arg_scope(weight_decay, batch_norm_decay, batch_norm_epsilon)


def nasnet_large_arg_scope(
    weight_decay: float = 5e-5, batch_norm_decay: float = 0.9997, batch_norm_epsilon: float = 1e-3
) -> Any:
    """Returns the scope of the layers of `build_nasnet_large`; see `nasnet_cifar_arg_scope`."""
    return nasnet_cifar_arg_scope(weight_decay, batch_norm_decay, batch_norm_epsilon)
