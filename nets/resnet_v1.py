"""ResNet v1: batch norm after each convolution, ReLU after the sum.

He et al., "Deep Residual Learning for Image Recognition", https://arxiv.org/abs/1512.03385,
Table 1. The file `resnet_utils.py` says where the strides differ from the paper's.

```python
with slim.arg_scope(resnet_v1.resnet_arg_scope()):
    logits, end_points = resnet_v1.resnet_v1_101(images, 1000, is_training=False)
    # For segmentation into 21 classes, maps at a sixteenth of the images' size:
    maps, end_points = resnet_v1.resnet_v1_101(
        images, 21, is_training=False, global_pool=False, output_stride=16, spatial_squeeze=False)
```
"""

import functools
from collections.abc import Sequence
from typing import Any

import tensorflow as tf

import slim
from nets import resnet_utils

resnet_arg_scope = resnet_utils.resnet_arg_scope


@slim.add_arg_scope
def bottleneck(
    inputs: tf.Tensor,
    depth: int,
    depth_bottleneck: int,
    stride: int,
    rate: int = 1,
    outputs_collections: Any = None,
    scope: str | None = None,
    use_bounded_activations: bool = False,
) -> tf.Tensor:
    """Builds a unit: 1x1, 3x3 and 1x1 convolutions, and the inputs added to them.

    Args:
      inputs: [batch, height, width, channels].
      depth: channels of the output; where the inputs have others, a 1x1 convolution adapts them.
      depth_bottleneck: channels of the first two convolutions.
      stride: of the 3x3 convolution and of the shortcut.
      rate: dilation of the 3x3 convolution.
      outputs_collections: collections in which the output is noted.
      scope: name of the unit.
      use_bounded_activations: keep the activations in [0, 6], and the residual in [-6, 6], which
        suits quantized inference.

    Returns:
      [batch, ceil(height / stride), ceil(width / stride), depth].
    """
    with slim.variable_scope(scope, "bottleneck_v1") as sc:
        if inputs.shape[-1] == depth:
            shortcut = resnet_utils.subsample(inputs, stride, "shortcut")
        else:
            activation_fn = tf.nn.relu6 if use_bounded_activations else None
            shortcut = slim.conv2d(
                inputs, depth, [1, 1], stride, activation_fn=activation_fn, scope="shortcut"
            )
        residual = slim.conv2d(inputs, depth_bottleneck, [1, 1], stride=1, scope="conv1")
        residual = resnet_utils.conv2d_same(
            residual, depth_bottleneck, 3, stride, rate=rate, scope="conv2"
        )
        residual = slim.conv2d(residual, depth, [1, 1], stride=1, activation_fn=None, scope="conv3")
        if use_bounded_activations:
            output = tf.nn.relu6(shortcut + tf.clip_by_value(residual, -6.0, 6.0))
        else:
            output = tf.nn.relu(shortcut + residual)
        return slim.collect_named_outputs(outputs_collections, sc.name, output)


resnet_v1_block = functools.partial(resnet_utils.bottleneck_block, bottleneck)


def resnet_v1(
    inputs: tf.Tensor,
    blocks: Sequence[resnet_utils.Block],
    num_classes: int | None = None,
    is_training: bool | None = True,
    global_pool: bool = True,
    output_stride: int | None = None,
    include_root_block: bool = True,
    spatial_squeeze: bool = True,
    *,
    store_non_strided_activations: bool = False,
    reuse: Any = None,
    scope: str | None = None,
) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """Builds a ResNet from rows of blocks.

    Args:
      inputs: [batch, height, width, channels]. For maps whose corners meet those of the image, a
        multiple of 32 plus 1 pixel: 321 pixels give 21 values at an output stride of 16.
      blocks: such as `resnet_v1_block("block1", base_depth=64, num_units=3, stride=2)`.
      num_classes: number of classes; 0 or None returns the features before the logits.
      is_training: whether batch norm is in training mode; None leaves it to an outer arg_scope.
      global_pool: whether to average over the image before the logits.
      output_stride: how many times smaller the last maps are than the images: 4, 8, 16 or 32 for
        the networks below. None for the full stride.
      include_root_block: whether to begin with the 7x7 convolution and the pooling, which shrink
        four times.
      spatial_squeeze: whether logits of one position become [batch, num_classes].
      store_non_strided_activations: have the end points of the blocks before their strides.
      reuse: whether the variables are shared; see `slim.variable_scope`.
      scope: name of the variables' scope.

    Returns:
      Logits [batch, num_classes], or [batch, height, width, num_classes] without `spatial_squeeze`;
      or features [batch, 1, 1, channels] (the maps without `global_pool`); and the end points by
      name.

    Raises:
      UserError: if the blocks do not reach `output_stride`, or `spatial_squeeze` meets logits of
        more than one position.
    """
    return resnet_utils.residual_network(
        inputs,
        blocks,
        num_classes,
        default_scope="resnet_v1",
        root=_root if include_root_block else None,
        last=lambda net: net,
        is_training=is_training,
        global_pool=global_pool,
        output_stride=output_stride,
        spatial_squeeze=spatial_squeeze,
        store_non_strided_activations=store_non_strided_activations,
        reuse=reuse,
        scope=scope,
    )


def _root(images: tf.Tensor) -> tf.Tensor:
    return resnet_utils.conv2d_same(images, 64, 7, stride=2, scope="conv1")


resnet_v1.default_image_size = 224

resnet_v1_50 = resnet_utils.network_of_depth(50, resnet_v1, resnet_v1_block)
resnet_v1_101 = resnet_utils.network_of_depth(101, resnet_v1, resnet_v1_block)
resnet_v1_152 = resnet_utils.network_of_depth(152, resnet_v1, resnet_v1_block)
resnet_v1_200 = resnet_utils.network_of_depth(200, resnet_v1, resnet_v1_block)
