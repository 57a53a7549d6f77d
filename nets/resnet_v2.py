"""ResNet v2: batch norm and ReLU before each convolution, none after the sum.

He et al., "Identity Mappings in Deep Residual Networks", https://arxiv.org/abs/1603.05027,
Figure 1(b).

The first convolution has biases and no batch norm, since the first unit begins with batch norm; for
the same reason a batch norm, `postnorm`, follows the last unit (appendix of the paper).
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
) -> tf.Tensor:
    """Builds a unit: 1x1, 3x3 and 1x1 convolutions of the activated inputs, added to the inputs.

    Args:
      inputs: [batch, height, width, channels].
      depth: number of output channels; for inputs with another number, the shortcut is a 1x1
        convolution of the activated inputs.
      depth_bottleneck: number of channels of the first two convolutions.
      stride: stride of the 3x3 convolution and of the shortcut.
      rate: dilation of the 3x3 convolution.
      outputs_collections: collections to which the output is added.
      scope: name of the unit.

    Returns:
      [batch, ceil(height / stride), ceil(width / stride), depth].
    """
    linear = functools.partial(
        slim.conv2d, kernel_size=[1, 1], normalizer_fn=None, activation_fn=None
    )
    with slim.variable_scope(scope, "bottleneck_v2") as sc:
        activated = slim.batch_norm(inputs, activation_fn=tf.nn.relu, scope="preact")
        if static_sizes(inputs)[-1] == depth:
            shortcut = resnet_utils.subsample(inputs, stride, "shortcut")
        else:
            shortcut = linear(activated, depth, stride=stride, scope="shortcut")
        residual = slim.conv2d(activated, depth_bottleneck, [1, 1], stride=1, scope="conv1")
        residual = resnet_utils.conv2d_same(
            residual, depth_bottleneck, 3, stride, rate=rate, scope="conv2"
        )
        residual = linear(residual, depth, stride=1, scope="conv3")
        return slim.collect_named_outputs(outputs_collections, sc.name, shortcut + residual)


resnet_v2_block = functools.partial(resnet_utils.bottleneck_block, bottleneck)


def _root(images: tf.Tensor) -> tf.Tensor:
    with slim.arg_scope([slim.conv2d], activation_fn=None, normalizer_fn=None):
        return resnet_utils.conv2d_same(images, 64, 7, stride=2, scope="conv1")


resnet_v2 = variant(
    resnet_utils.residual_network,
    resnet_utils.Version(
        "resnet_v2",
        _root,
        functools.partial(slim.batch_norm, activation_fn=tf.nn.relu, scope="postnorm"),
    ),
)
_of_depth = functools.partial(variant, resnet_utils.network_of_depth, resnet_v2, resnet_v2_block)
resnet_v2_50 = _of_depth(50, scope="resnet_v2_50")
resnet_v2_101 = _of_depth(101, scope="resnet_v2_101")
resnet_v2_152 = _of_depth(152, scope="resnet_v2_152")
resnet_v2_200 = _of_depth(200, scope="resnet_v2_200")
