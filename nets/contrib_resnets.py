"""The ResNets of `tensorflow.contrib.slim.nets` and `tf_slim.nets`, for code that imports those.

`resnet_v1` and `resnet_v2` are research/slim's: the same networks, which have more arguments and
squeeze their logits by default.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from nets import resnet_utils
from nets import resnet_v1 as v1
from nets import resnet_v2 as v2
from nets._variants import variant

Outputs = tuple[tf.Tensor, dict[str, tf.Tensor]]


def _residual_network(
    network: Callable[..., Outputs],
    inputs: tf.Tensor,
    blocks: Sequence[resnet_utils.Block],
    num_classes: int | None = None,
    is_training: bool | None = True,
    global_pool: bool = True,
    output_stride: int | None = None,
    include_root_block: bool = True,
    reuse: Any = None,
    scope: str | None = None,
) -> Outputs:
    """Builds a ResNet from rows of blocks, as `resnet_utils.residual_network` does.

    Returns:
      Logits [batch, height, width, num_classes], or features; and the end points by name.
    """
    return network(
        inputs, blocks, num_classes, is_training, global_pool, output_stride, include_root_block,
        spatial_squeeze=False, reuse=reuse, scope=scope,
    )  # fmt: skip


def _of_depth(
    network: Callable[..., Outputs],
    inputs: tf.Tensor,
    num_classes: int | None = None,
    is_training: bool | None = True,
    global_pool: bool = True,
    output_stride: int | None = None,
    reuse: Any = None,
    scope: str | None = None,
) -> Outputs:
    """Builds a ResNet by its number of layers, as `resnet_utils.network_of_depth` does.

    Returns:
      Logits [batch, height, width, num_classes], or features; and the end points by name.
    """
    name = {} if scope is None else {"scope": scope}
    return network(
        inputs, num_classes, is_training, global_pool, output_stride,
        spatial_squeeze=False, reuse=reuse, **name,
    )  # fmt: skip


resnet_v1 = variant(_residual_network, v1.resnet_v1)
resnet_v2 = variant(_residual_network, v2.resnet_v2)
_network = functools.partial(variant, _of_depth)
resnet_v1_50, resnet_v2_50 = _network(v1.resnet_v1_50), _network(v2.resnet_v2_50)
resnet_v1_101, resnet_v2_101 = _network(v1.resnet_v1_101), _network(v2.resnet_v2_101)
resnet_v1_152, resnet_v2_152 = _network(v1.resnet_v1_152), _network(v2.resnet_v2_152)
resnet_v1_200, resnet_v2_200 = _network(v1.resnet_v1_200), _network(v2.resnet_v2_200)
