"""ResNet v1: batch norm after each convolution, ReLU after the sum.

He et al., "Deep Residual Learning for Image Recognition", https://arxiv.org/abs/1512.03385,
Table 1; `resnet_utils.py` documents where the strides differ from the paper's.

```python
with slim.arg_scope(resnet_v1.resnet_arg_scope()):
    logits, end_points = resnet_v1.resnet_v1_101(images, 1000, is_training=False)
    # For segmentation into 21 classes, maps at a sixteenth of the images' size:
    maps, end_points = resnet_v1.resnet_v1_101(
        images, 21, is_training=False, global_pool=False, output_stride=16, spatial_squeeze=False)
```
"""

import functools
from typing import Any

import tensorflow as tf

import slim
from nets import resnet_utils
from nets._variants import variant
from slim._shapes import static_sizes

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
      depth: number of output channels; inputs with another number are projected by a 1x1
        convolution.
      depth_bottleneck: number of channels of the first two convolutions.
      stride: stride of the 3x3 convolution and of the shortcut.
      rate: dilation of the 3x3 convolution.
      outputs_collections: collections to which the output is added.
      scope: name of the unit.
      use_bounded_activations: whether to clip the activations to [0, 6] and the residual to
        [-6, 6], for quantized inference.

    Returns:
      [batch, ceil(height / stride), ceil(width / stride), depth].
    """
    with slim.variable_scope(scope, "bottleneck_v1") as sc:
        if static_sizes(inputs)[-1] == depth:
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


def _root(images: tf.Tensor) -> tf.Tensor:
    return resnet_utils.conv2d_same(images, 64, 7, stride=2, scope="conv1")


resnet_v1 = variant(
    resnet_utils.residual_network, resnet_utils.Version("resnet_v1", _root, lambda net: net)
)
_of_depth = functools.partial(variant, resnet_utils.network_of_depth, resnet_v1, resnet_v1_block)
resnet_v1_50 = _of_depth(50, scope="resnet_v1_50")
resnet_v1_101 = _of_depth(101, scope="resnet_v1_101")
resnet_v1_152 = _of_depth(152, scope="resnet_v1_152")
resnet_v1_200 = _of_depth(200, scope="resnet_v1_200")
