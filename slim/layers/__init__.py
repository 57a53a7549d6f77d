"""The layers, functions with TF-Slim's names, arguments, defaults and variable names."""

from slim.layers.batch_normalization import batch_norm
from slim.layers.combinators import repeat, stack
from slim.layers.convolution import (
    conv1d,
    conv2d,
    conv3d,
    convolution,
    convolution1d,
    convolution2d,
    convolution3d,
)
from slim.layers.dense import bias_add, dropout, elu, fully_connected, linear, relu, relu6
from slim.layers.normalization import group_norm, instance_norm, layer_norm
from slim.layers.pooling import avg_pool2d, avg_pool3d, max_pool2d, max_pool3d, pool
from slim.layers.separable import (
    conv2d_in_plane,
    convolution2d_in_plane,
    separable_conv2d,
    separable_convolution2d,
)
from slim.layers.shaping import flatten, maxout, one_hot_encoding, softmax, unit_norm
from slim.layers.transpose import (
    conv2d_transpose,
    conv3d_transpose,
    convolution2d_transpose,
    convolution3d_transpose,
)

__all__ = [
    "avg_pool2d", "avg_pool3d", "batch_norm", "bias_add", "conv1d", "conv2d", "conv2d_in_plane",
    "conv2d_transpose", "conv3d", "conv3d_transpose", "convolution", "convolution1d",
    "convolution2d", "convolution2d_in_plane", "convolution2d_transpose", "convolution3d",
    "convolution3d_transpose", "dropout", "elu", "flatten", "fully_connected", "group_norm",
    "instance_norm", "layer_norm", "linear", "max_pool2d", "max_pool3d", "maxout",
    "one_hot_encoding", "pool", "relu", "relu6", "repeat", "separable_conv2d",
    "separable_convolution2d", "softmax", "stack", "unit_norm",
]  # fmt: skip
