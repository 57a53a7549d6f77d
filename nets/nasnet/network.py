"""What NASNet and PNASNet share around their cells: the stem, the auxiliary head, the last layers.

A network is a list of rows, one per cell; their order is that of the variables.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import tensorflow as tf

import slim
from nets.nasnet.cells import Cell, Style, build_cell
from nets.nasnet.config import NasnetConfig
from slim import _checks

_HEAD = ("global_pool", "Logits", "Predictions")


class Row(NamedTuple):
    """A cell in its place.

    Attributes:
      scope: of its variables.
      cell: its table.
      filters: of each of its states.
      stride: 2 if it halves height and width.
      prev: which of the outputs so far is its second input, counted from the end: -2 is the one
        before its input.
      end_point: name of its output, or None.
      aux_scope: of the auxiliary head on its output, or None.
    """

    scope: str
    cell: Cell
    filters: int
    stride: int
    prev: int
    end_point: str | None
    aux_scope: str | None = None


def reduction_cells(config: NasnetConfig) -> list[int]:
    """Returns the numbers of the cells at which the reductions are."""
    parts = config.num_reduction_layers + 1
    # In floating point, as the original: the rounding decides where a reduction is.
    return [int(float(part) / parts * config.num_cells) for part in range(1, parts)]


def aux_cell(config: NasnetConfig) -> int | None:
    """Returns the number of the cell with the auxiliary head, before the second reduction."""
    reductions = reduction_cells(config)
    return reductions[1] - 1 if config.use_aux_head and len(reductions) > 1 else None


def imagenet_stem_rows(cell: Cell, config: NasnetConfig) -> list[Row]:
    """Returns the two reducing cells between the first convolution and the cells proper."""
    filters, rate = config.num_conv_filters, config.filter_scaling_rate
    return [
        Row("cell_stem_0", cell, int(filters * (1.0 / rate**2)), 2, -2, None),
        Row("cell_stem_1", cell, int(filters * (1.0 / rate**2) * rate), 2, -2, "Stem"),
    ]


def imagenet_stem(images: tf.Tensor, config: NasnetConfig) -> tf.Tensor:
    """Halves the images: 331 to 165, 224 to 111."""
    filters = int(32 * config.stem_multiplier)
    net = slim.conv2d(images, filters, [3, 3], stride=2, padding="VALID", scope="conv0")
    return slim.batch_norm(net, scope="conv0_bn")


def cifar_stem(images: tf.Tensor, config: NasnetConfig) -> tf.Tensor:
    """Keeps the size of the images."""
    filters = int(config.num_conv_filters * config.stem_multiplier)
    net = slim.conv2d(images, filters, 3, scope="l1_stem_3x3")
    return slim.batch_norm(net, scope="l1_stem_bn")


def build_network(
    images: tf.Tensor,
    stem: Callable[[tf.Tensor, NasnetConfig], tf.Tensor],
    rows: Sequence[Row],
    config: NasnetConfig,
    *,
    num_classes: int | None,
    is_training: bool,
    final_endpoint: str | None,
    current_step: Any,
) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """Builds a network from its rows.

    Args:
      images: [batch, height, width, channels].
      stem: from the images and the configuration to the input of the first row.
      rows: the cells.
      config: the configuration.
      num_classes: number of classes; 0 or None stops at "global_pool".
      is_training: whether batch norm, dropout, drop path and the auxiliary head are on.
      final_endpoint: end point to stop at, whose tensor is returned; None builds everything.
      current_step: training step for drop path; None takes the store's global step.

    Returns:
      Logits [batch, num_classes], features [batch, channels] without classes, or the final end
      point; and the end points by name.

    Raises:
      UserError: if `final_endpoint` is not known; the message has those that are. If the
        configuration puts two reductions next to each other.
      ValueError: if in training the images are too small for the auxiliary head.
    """
    style = Style(config.data_format, config.use_bounded_activation)
    names = _end_point_names(rows, num_classes, final_endpoint)
    count = max((i + 1 for i, row in enumerate(rows) if row.end_point in names), default=0)
    keep_probs = _keep_probs(config, len(rows), current_step) if is_training else [1.0] * len(rows)
    if config.data_format == "NCHW":
        images = tf.transpose(images, [0, 3, 1, 2])
    with (
        slim.arg_scope([slim.dropout, slim.batch_norm], is_training=is_training),
        slim.arg_scope(
            [slim.avg_pool2d, slim.max_pool2d, slim.conv2d, slim.separable_conv2d, slim.batch_norm],
            data_format=config.data_format,
        ),
    ):
        stemmed = net = stem(images, config)
        end_points = {} if rows[0].end_point is None else {"Stem": net}
        for row, net in _cells(stemmed, rows[:count], config, keep_probs, style):
            if row.end_point is not None:
                end_points[row.end_point] = net
            if row.aux_scope and is_training and num_classes and row.end_point != names[-1]:
                with slim.variable_scope(row.aux_scope):
                    end_points["AuxLogits"] = _aux_head(net, num_classes, style)
        end_points.update(_head(net, names, num_classes, config, style))
    returned = "Logits" if final_endpoint is None and num_classes else names[-1]
    return end_points[returned], end_points


def _end_point_names(
    rows: Sequence[Row], num_classes: int | None, final_endpoint: str | None
) -> list[str]:
    """Returns the names of the end points to build, in order, the auxiliary head's aside."""
    names = [row.end_point for row in rows if row.end_point]
    names = names if "Stem" in names else ["Stem", *names]
    names += _HEAD if num_classes else _HEAD[:1]
    if final_endpoint is None:
        return names
    _checks.one_of("final_endpoint", final_endpoint, names)
    return names[: names.index(final_endpoint) + 1]


def _cells(
    net: tf.Tensor,
    rows: Sequence[Row],
    config: NasnetConfig,
    keep_probs: Sequence[tf.Tensor | float],
    style: Style,
) -> Iterator[tuple[Row, tf.Tensor]]:
    """Builds the cells of the rows; gives each row with its output."""
    # With each output how often the image was halved before it.
    outputs: list[tuple[tf.Tensor | None, int]] = [(None, 0), (net, 0)]
    for row, keep_prob in zip(rows, keep_probs, strict=False):
        (net, halved), (prev, prev_halved) = outputs[-1], outputs[row.prev]
        if prev is not None and halved - prev_halved > 1:
            raise _checks.UserError(
                f"num_cells={config.num_cells} with num_reduction_layers="
                f"{config.num_reduction_layers}: between {row.scope} and its second input is "
                "more than one reduction; take more cells or fewer reductions"
            )
        net = build_cell(
            row.cell, net, prev, scope=row.scope, filters=row.filters, stride=row.stride,
            prev_is_larger=prev_halved < halved, style=style, keep_prob=keep_prob,
        )  # fmt: skip
        outputs.append((net, halved + (row.stride > 1)))
        yield row, net


def _keep_probs(
    config: NasnetConfig, num_cells: int, current_step: Any
) -> Sequence[tf.Tensor | float]:
    """Returns drop path's probability for each cell: it falls with depth and with the steps."""
    if config.drop_path_keep_prob == 1.0:
        return [1.0] * num_cells
    step = slim.get_or_create_global_step() if current_step is None else current_step
    with tf.name_scope("drop_path"):
        progress = tf.minimum(1.0, tf.cast(step, tf.float32) / config.total_training_steps)
        dropped = 1.0 - config.drop_path_keep_prob
        return [1.0 - progress * (cell / num_cells * dropped) for cell in range(1, num_cells + 1)]


def _aux_head(net: tf.Tensor, num_classes: int, style: Style) -> tf.Tensor:
    sizes = [net.shape[axis] for axis in style.spatial_axes]
    if None in sizes or min(sizes) < 5:
        raise ValueError(
            f"the auxiliary head pools windows of 5x5, but its input is {sizes[0]}x{sizes[1]}; "
            "train with larger images of a known size, or with config's use_aux_head=False"
        )
    net = style.activation(net)
    with slim.variable_scope("aux_logits"):
        net = slim.avg_pool2d(net, [5, 5], stride=3, padding="VALID")
        net = slim.conv2d(net, 128, [1, 1], scope="proj")
        net = style.activation(slim.batch_norm(net, scope="aux_bn0"))
        window = [net.shape[axis] for axis in style.spatial_axes]
        net = slim.conv2d(net, 768, window, padding="VALID")  # 1x1x768
        net = style.activation(slim.batch_norm(net, scope="aux_bn1"))
        return slim.fully_connected(slim.flatten(net), num_classes)


def _head(
    net: tf.Tensor,
    names: Sequence[str],
    num_classes: int | None,
    config: NasnetConfig,
    style: Style,
) -> dict[str, tf.Tensor]:
    """Returns the end points after the cells, as far as they are in `names`."""
    if "global_pool" not in names:
        return {}
    with slim.variable_scope("final_layer"):
        pooled = tf.reduce_mean(style.activation(net), style.spatial_axes)
        end_points = {"global_pool": pooled}
        if "Logits" in names:
            net = slim.dropout(pooled, config.dense_dropout_keep_prob, scope="dropout")
            end_points["Logits"] = slim.fully_connected(net, num_classes)
        if "Predictions" in names:
            end_points["Predictions"] = tf.nn.softmax(end_points["Logits"], name="predictions")
    return end_points
