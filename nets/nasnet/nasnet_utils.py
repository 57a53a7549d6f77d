"""The parts of NASNet's cells that programs use, under TF-Slim's names and with its arguments."""

import tensorflow as tf

import slim
from nets.nasnet import cells, variants
from slim import _checks

factorized_reduction = slim.add_arg_scope(cells.factorized_reduction)


def calc_reduction_layers(num_cells: int, num_reduction_layers: int) -> list[int]:
    """Returns the numbers of the cells where height and width are halved, spread evenly."""
    return variants.evenly_spread(num_cells, num_reduction_layers)


@slim.add_arg_scope
def get_channel_index(data_format: str = "NHWC") -> int:
    """Returns the axis of the channels of images, by "NHWC" or "NCHW"."""
    return _style(data_format).channel_axis


@slim.add_arg_scope
def get_channel_dim(shape: tf.TensorShape, data_format: str = "NHWC") -> int | None:
    """Returns the number of channels in a shape of images; None if it is not known."""
    return tf.TensorShape(shape).as_list()[get_channel_index(data_format)]


@slim.add_arg_scope
def global_avg_pool(x: tf.Tensor, data_format: str = "NHWC") -> tf.Tensor:
    """Averages [batch, height, width, channels], or "NCHW", to [batch, channels]."""
    return tf.reduce_mean(x, _style(data_format).spatial_axes)


@slim.add_arg_scope
def drop_path(net: tf.Tensor, keep_prob: tf.Tensor | float, is_training: bool = True) -> tf.Tensor:
    """Zeroes each example of [batch, ...], of rank 4, with the probability 1 - `keep_prob`.

    The others are divided by `keep_prob`. Without `is_training` nothing changes.
    """
    if not is_training:
        return net
    return cells.drop_path(net, next(cells.drop_path_masks(net, keep_prob, 1)))


def _style(data_format: str) -> cells.Style:
    return cells.Style(_checks.one_of("data_format", data_format, ("NHWC", "NCHW")))
