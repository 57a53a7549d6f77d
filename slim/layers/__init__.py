"""The layers, functions with TF-Slim's names, arguments, defaults and variable names."""

from slim.arg_scope import add_arg_scope
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
from slim.layers.divisive_normalization import GDN, gdn
from slim.layers.keypoints import spatial_softmax
from slim.layers.legacy import legacy_fully_connected, legacy_linear, legacy_relu
from slim.layers.normalization import group_norm, instance_norm, layer_norm
from slim.layers.pooling import avg_pool2d, avg_pool3d, max_pool2d, max_pool3d, pool
from slim.layers.recomputation import recompute_grad
from slim.layers.reversible import RevBlock, rev_block
from slim.layers.separable import (
    conv2d_in_plane,
    convolution2d_in_plane,
    separable_conv2d,
    separable_convolution2d,
)
from slim.layers.sequences import images_to_sequence, sequence_to_images
from slim.layers.shaping import flatten, maxout, one_hot_encoding, softmax, unit_norm
from slim.layers.sparse_ops import dense_to_sparse
from slim.layers.transpose import (
    conv2d_transpose,
    conv3d_transpose,
    convolution2d_transpose,
    convolution3d_transpose,
)
from slim.layers.vectors import bucketize, poincare_normalize, scale_gradient

DATA_FORMAT_NCHW = "NCHW"
DATA_FORMAT_NHWC = "NHWC"
DATA_FORMAT_NCDHW = "NCDHW"
DATA_FORMAT_NDHWC = "NDHWC"

__all__ = [
    "DATA_FORMAT_NCDHW",
    "DATA_FORMAT_NCHW",
    "DATA_FORMAT_NDHWC",
    "DATA_FORMAT_NHWC",
    "GDN",
    "RevBlock",
    "add_arg_scope",
    "avg_pool2d",
    "avg_pool3d",
    "batch_norm",
    "bias_add",
    "bucketize",
    "conv1d",
    "conv2d",
    "conv2d_in_plane",
    "conv2d_transpose",
    "conv3d",
    "conv3d_transpose",
    "convolution",
    "convolution1d",
    "convolution2d",
    "convolution2d_in_plane",
    "convolution2d_transpose",
    "convolution3d",
    "convolution3d_transpose",
    "dense_to_sparse",
    "dropout",
    "elu",
    "flatten",
    "fully_connected",
    "gdn",
    "group_norm",
    "images_to_sequence",
    "instance_norm",
    "layer_norm",
    "legacy_fully_connected",
    "legacy_linear",
    "legacy_relu",
    "linear",
    "max_pool2d",
    "max_pool3d",
    "maxout",
    "one_hot_encoding",
    "poincare_normalize",
    "pool",
    "recompute_grad",
    "relu",
    "relu6",
    "repeat",
    "rev_block",
    "scale_gradient",
    "separable_conv2d",
    "separable_convolution2d",
    "sequence_to_images",
    "softmax",
    "spatial_softmax",
    "stack",
    "unit_norm",
]  # fmt: skip
