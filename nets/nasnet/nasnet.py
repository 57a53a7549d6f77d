"""NASNet-A for CIFAR-10 and for ImageNet, mobile and large; see `variants.py` for the papers.

Normal and reduction cells alternate in three stages. All variables are at the top level, without a
scope of the network's name, as in the published checkpoints.
"""

import dataclasses
from typing import Any

import tensorflow as tf

import slim
from nets._variants import variant
from nets.nasnet.config import NasnetConfig
from nets.nasnet.network import build_network
from nets.nasnet.variants import VARIANTS


def cifar_config() -> NasnetConfig:
    """Returns the configuration for CIFAR-10."""
    return dataclasses.replace(VARIANTS["nasnet_cifar"].config)


def mobile_imagenet_config() -> NasnetConfig:
    """Returns the configuration of the mobile network for ImageNet."""
    return dataclasses.replace(VARIANTS["nasnet_mobile"].config)


def large_imagenet_config() -> NasnetConfig:
    """Returns the configuration of the large network for ImageNet."""
    return dataclasses.replace(VARIANTS["nasnet_large"].config)


def build_nasnet_cifar(
    images: tf.Tensor,
    num_classes: int | None,
    is_training: bool = True,
    config: NasnetConfig | None = None,
    current_step: Any = None,
    final_endpoint: str | None = None,
) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """Builds NASNet-A for CIFAR-10.

    As `network.build_network`, with `final_endpoint` last: TF-Slim's function does not have it.
    """
    return build_network(
        VARIANTS["nasnet_cifar"], images, num_classes, is_training, final_endpoint, config,
        current_step,
    )  # fmt: skip


build_nasnet_cifar.default_image_size = 32
build_nasnet_mobile = variant(build_network, VARIANTS["nasnet_mobile"])
build_nasnet_large = variant(build_network, VARIANTS["nasnet_large"], default_image_size=331)


def nasnet_cifar_arg_scope(
    weight_decay: float = 5e-4, batch_norm_decay: float = 0.9, batch_norm_epsilon: float = 1e-5
) -> Any:
    """Returns the scope of the layers of `build_nasnet_cifar`.

    Args:
      weight_decay: coefficient of the L2 penalty on the weights.
      batch_norm_decay: decay of batch norm's moving averages.
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
    """Returns the scope for ImageNet's mobile network; see `nasnet_cifar_arg_scope`."""
    return nasnet_cifar_arg_scope(weight_decay, batch_norm_decay, batch_norm_epsilon)


def nasnet_large_arg_scope(
    weight_decay: float = 5e-5, batch_norm_decay: float = 0.9997, batch_norm_epsilon: float = 1e-3
) -> Any:
    """Returns the scope for ImageNet's large network; see `nasnet_cifar_arg_scope`."""
    return nasnet_cifar_arg_scope(weight_decay, batch_norm_decay, batch_norm_epsilon)
