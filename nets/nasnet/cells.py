"""The cells of NASNet-A and PNASNet-5, as tables, and their builder.

A cell has states. State 0 is its input and state 1 the output of an earlier cell, both projected to
the cell's number of filters. Each row of its table adds a state: the sum of two operations on
earlier states. The cell's output is the concatenation of some of the states.

NASNet-A: Zoph et al., https://arxiv.org/abs/1707.07012, figure 4. PNASNet-5: Liu et al.,
https://arxiv.org/abs/1712.00559, figure 1. In the papers the output concatenates the states that no
row uses; NASNet's cells add one more, as in the published checkpoints.
"""

import dataclasses
from collections.abc import Callable, Iterator
from typing import NamedTuple

import tensorflow as tf

import slim
from slim._shapes import static_sizes


class Separable(NamedTuple):
    """Activation, separable convolution and batch norm, applied twice."""

    kernel: int


class Pool(NamedTuple):
    """Pooling over square windows."""

    layer: Callable[..., tf.Tensor]
    kernel: int


class Identity(NamedTuple):
    """The state itself; projected where the number of filters or the size changes."""


class Combination(NamedTuple):
    """A row of a cell: `left` of state `left_state` plus `right` of state `right_state`."""

    left: "Operation"
    left_state: int
    right: "Operation"
    right_state: int


class Cell(NamedTuple):
    """A cell: its rows, which compute the states 2, 3, ..., and the states in its output."""

    combinations: tuple[Combination, ...]
    outputs: tuple[int, ...]

    @property
    def num_paths(self) -> int:
        """Number of operations that drop path may drop: all but `Identity`."""
        sides = [side for row in self.combinations for side in (row.left, row.right)]
        return sum(not isinstance(side, Identity) for side in sides)


Operation = Separable | Pool | Identity

SEP_3, SEP_5, SEP_7 = Separable(3), Separable(5), Separable(7)
AVG_3, MAX_3 = Pool(slim.avg_pool2d, 3), Pool(slim.max_pool2d, 3)
NONE = Identity()

NASNET_NORMAL = Cell(
    (
        Combination(SEP_5, 0, SEP_3, 1),
        Combination(SEP_5, 1, SEP_3, 1),
        Combination(AVG_3, 0, NONE, 1),
        Combination(AVG_3, 1, AVG_3, 1),
        Combination(SEP_3, 0, NONE, 0),
    ),
    outputs=(1, 2, 3, 4, 5, 6),
)
NASNET_REDUCTION = Cell(
    (
        Combination(SEP_5, 0, SEP_7, 1),
        Combination(MAX_3, 0, SEP_7, 1),
        Combination(AVG_3, 0, SEP_5, 1),
        Combination(NONE, 3, AVG_3, 2),
        Combination(SEP_3, 2, MAX_3, 0),
    ),
    outputs=(3, 4, 5, 6),
)
PNASNET = Cell(
    (
        Combination(SEP_5, 1, MAX_3, 1),
        Combination(SEP_7, 0, MAX_3, 0),
        Combination(SEP_5, 0, SEP_3, 0),
        Combination(SEP_3, 4, MAX_3, 0),
        Combination(SEP_3, 1, NONE, 0),
    ),
    outputs=(2, 3, 4, 5, 6),
)


@dataclasses.dataclass(frozen=True)
class Style:
    """Settings that all cells of a network share.

    Attributes:
      data_format: "NHWC" or "NCHW".
      bounded: whether activations stay within [-6, 6].
    """

    data_format: str = "NHWC"
    bounded: bool = False

    @property
    def channel_axis(self) -> int:
        """Axis of the channels."""
        return 3 if self.data_format == "NHWC" else 1

    @property
    def spatial_axes(self) -> tuple[int, int]:
        """Axes of height and width."""
        return (1, 2) if self.data_format == "NHWC" else (2, 3)

    def activation(self, net: tf.Tensor) -> tf.Tensor:
        """Applies the activation."""
        return tf.nn.relu6(net) if self.bounded else tf.nn.relu(net)

    def clip(self, net: tf.Tensor) -> tf.Tensor:
        """Clips a linear output where activations are bounded."""
        return tf.clip_by_value(net, -6.0, 6.0) if self.bounded else net


def build_cell(
    cell: Cell,
    net: tf.Tensor,
    prev: tf.Tensor | None,
    *,
    scope: str,
    filters: int,
    stride: int = 1,
    prev_is_larger: bool = False,
    style: Style = Style(),
    keep_prob: tf.Tensor | float = 1.0,
) -> tf.Tensor:
    """Builds a cell.

    Args:
      cell: its table.
      net: its input.
      prev: output of an earlier cell; None uses `net` for both states.
      scope: name of its variables' scope.
      filters: number of filters of each of its states.
      stride: 2 in a reduction, for the operations on states 0 and 1.
      prev_is_larger: whether `prev` has twice the height and width of `net`.
      style: data format and activations.
      keep_prob: probability of drop path to keep an operation's result.

    Returns:
      The output, with `filters * len(cell.outputs)` channels.
    """
    with slim.variable_scope(scope):
        prev = net if prev is None else _match(prev, filters, prev_is_larger, style)
        net = slim.conv2d(style.activation(net), filters, 1, scope="1x1")
        states = [slim.batch_norm(net, scope="beginning_bn"), prev]
        masks = drop_path_masks(net, keep_prob, cell.num_paths)
        for index, row in enumerate(cell.combinations):
            terms = []
            with slim.variable_scope(f"comb_iter_{index}"):
                for side, operation, state in (("left", *row[:2]), ("right", *row[2:])):
                    steps = stride if state < 2 else 1
                    with slim.variable_scope(side):
                        build = _BUILDERS[type(operation)]
                        term = build(operation, states[state], filters, steps, style)
                        if not isinstance(operation, Identity):
                            term = drop_path(term, next(masks))
                        terms.append(term)
                with tf.name_scope("combine"):
                    total = terms[0] + terms[1]
                    states.append(tf.nn.relu6(total) if style.bounded else total)
        with slim.variable_scope("cell_output"):
            for state in cell.outputs:
                larger = state < 2 and stride > 1
                if larger or static_sizes(states[state])[style.channel_axis] != filters:
                    with slim.variable_scope(f"reduction_{state}"):
                        states[state] = factorized_reduction(
                            states[state], filters, stride if larger else 1, style.data_format
                        )
            return tf.concat([states[i] for i in cell.outputs], style.channel_axis)


def _match(prev: tf.Tensor, filters: int, is_larger: bool, style: Style) -> tf.Tensor:
    """Returns an earlier cell's output at this cell's size and number of filters."""
    if is_larger:
        return factorized_reduction(style.activation(prev), filters, 2, style.data_format)
    if static_sizes(prev)[style.channel_axis] == filters:
        return prev
    prev = slim.conv2d(style.activation(prev), filters, 1, scope="prev_1x1")
    return slim.batch_norm(prev, scope="prev_bn")


def _separable(
    operation: Separable, net: tf.Tensor, filters: int, stride: int, style: Style
) -> tf.Tensor:
    kernel = operation.kernel
    for layer, steps in ((1, stride), (2, 1)):
        name = f"{kernel}x{kernel}_{layer}"
        net = slim.separable_conv2d(
            style.activation(net), filters, kernel, 1, stride=steps, scope=f"separable_{name}"
        )
        net = slim.batch_norm(net, scope=f"bn_sep_{name}")
    return style.clip(net)


def _pool(operation: Pool, net: tf.Tensor, filters: int, stride: int, style: Style) -> tf.Tensor:
    net = tf.nn.relu6(net) if style.bounded else net
    net = operation.layer(net, operation.kernel, stride=stride, padding="SAME")
    if static_sizes(net)[style.channel_axis] != filters:
        net = slim.conv2d(net, filters, 1, scope="1x1")
        net = slim.batch_norm(net, scope="bn_1")
    return style.clip(net)


def _identity(_: Identity, net: tf.Tensor, filters: int, stride: int, style: Style) -> tf.Tensor:
    if stride == 1 and static_sizes(net)[style.channel_axis] == filters:
        return tf.nn.relu6(net) if style.bounded else net
    net = slim.conv2d(style.activation(net), filters, 1, stride=stride, scope="1x1")
    return style.clip(slim.batch_norm(net, scope="bn_1"))


_BUILDERS = {Separable: _separable, Pool: _pool, Identity: _identity}


def factorized_reduction(
    net: tf.Tensor, output_filters: int, stride: int, data_format: str = "NHWC"
) -> tf.Tensor:
    """Changes the number of filters, and with a stride of 2 halves the size.

    Half of the filters see the pixels at even rows and columns, the other half those at odd ones,
    so that a stride of 2 discards none.

    Args:
      net: [batch, height, width, channels], or in the order of `data_format`.
      output_filters: number of filters of the result; if odd, the second half has one more.
      stride: 1 or 2.
      data_format: "NHWC" or "NCHW".

    Returns:
      [batch, ceil(height / stride), ceil(width / stride), output_filters].
    """
    if stride == 1:
        net = slim.conv2d(net, output_filters, 1, scope="path_conv")
        return slim.batch_norm(net, scope="path_bn")
    last = data_format == "NHWC"
    # One more row and column of zeros: as many odd ones as even ones.
    margins = [[0, 1], [0, 1]]
    padded = tf.pad(net, [[0, 0], *margins, [0, 0]] if last else [[0, 0], [0, 0], *margins])
    before = (slice(None),) if last else (slice(None), slice(None))
    even = net[(*before, slice(None, None, stride), slice(None, None, stride))]
    odd = padded[(*before, slice(1, None, stride), slice(1, None, stride))]
    first = output_filters // 2
    paths = (
        slim.conv2d(even, first, 1, scope="path1_conv"),
        slim.conv2d(odd, output_filters - first, 1, scope="path2_conv"),
    )
    return slim.batch_norm(tf.concat(paths, 3 if last else 1), scope="final_path_bn")


def drop_path_masks(
    net: tf.Tensor, keep_prob: tf.Tensor | float, count: int
) -> Iterator[tf.Tensor | None]:
    """Draws which examples each of `count` paths keeps, in one operation for all paths.

    In a pass with a seed the masks are a function of that seed and of the scope's name, as for
    `slim.dropout`.

    Args:
      net: [batch, ...], for its batch size and dtype.
      keep_prob: probability to keep an example; the Python float 1.0 keeps all.
      count: number of paths.

    Returns:
      For each path a mask [batch, 1, 1, 1] of 0 and 1 / keep_prob, or None to keep all.
    """
    if isinstance(keep_prob, float) and keep_prob == 1.0:
        return iter([None] * count)
    with slim.variable_scope("drop_path") as scope:
        shape = [count, tf.shape(net)[0], 1, 1, 1]
        seed = slim.current_pass().draw_seed(scope.name)
        if seed is None:
            chances = tf.random.uniform(shape)
        else:
            chances = tf.random.stateless_uniform(shape, seed, alg="philox")
        masks = tf.floor(chances + keep_prob) / keep_prob
        return iter(tf.unstack(tf.cast(masks, net.dtype), count))


def drop_path(net: tf.Tensor, mask: tf.Tensor | None) -> tf.Tensor:
    """Zeroes examples of [batch, ...], of rank 4, by a mask of `drop_path_masks`."""
    return net if mask is None else net * mask
