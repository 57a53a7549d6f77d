"""The builder of NASNet and PNASNet: stem, cells, auxiliary head and last layers."""

from collections.abc import Iterator, Sequence
from typing import Any

import tensorflow as tf

import slim
from nets.nasnet.cells import Style, build_cell
from nets.nasnet.config import NasnetConfig
from nets.nasnet.variants import Row, Variant, rows
from slim import _checks
from slim._shapes import static_sizes

_HEAD = ("global_pool", "Logits", "Predictions")


def _stem(images: tf.Tensor, variant: Variant, config: NasnetConfig) -> tf.Tensor:
    """Applies the first convolution; ImageNet's has a stride of 2: 331 to 165, 224 to 111."""
    if variant.for_imagenet:
        filters = int(32 * config.stem_multiplier)
        net = slim.conv2d(images, filters, 3, stride=2, padding="VALID", scope="conv0")
        return slim.batch_norm(net, scope="conv0_bn")
    filters = int(config.num_conv_filters * config.stem_multiplier)
    net = slim.conv2d(images, filters, 3, scope="l1_stem_3x3")
    return slim.batch_norm(net, scope="l1_stem_bn")


def build_network(
    variant: Variant,
    images: tf.Tensor,
    num_classes: int | None,
    is_training: bool = True,
    final_endpoint: str | None = None,
    config: NasnetConfig | None = None,
    current_step: Any = None,
) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """Builds a NASNet or PNASNet.

    Args:
      variant: a row of `variants.VARIANTS`, which the builders of `nasnet` and `pnasnet` bind.
      images: [batch, height, width, channels] of any size; the default is `default_image_size`.
      num_classes: number of classes; 0 or None returns the features before the last layer.
      is_training: whether batch norm, dropout, drop path and the auxiliary head are on.
      final_endpoint: end point to stop at, whose tensor is returned ("Stem", "Cell_5",
        "Reduction_Cell_0" for NASNet, ...); None builds everything.
      config: hyper-parameters in place of the variant's.
      current_step: training step for drop path; None takes the store's global step.

    Returns:
      Logits [batch, num_classes], features [batch, channels] without classes, or the final end
      point; and the end points by name, in training with "AuxLogits".

    Raises:
      UserError: if `final_endpoint` is not known, or the configuration puts two reductions next to
        each other.
      ValueError: if in training the images are too small for the auxiliary head.
    """
    config = config or variant.config
    cells = rows(variant, config)
    style = Style(config.data_format, config.use_bounded_activation)
    names = _end_point_names(cells, num_classes, final_endpoint)
    count = max((i + 1 for i, row in enumerate(cells) if row.end_point in names), default=0)
    keep_probs: Sequence[tf.Tensor | float] = [1.0] * len(cells)
    if is_training:
        keep_probs = _keep_probs(config, len(cells), current_step)
    if config.data_format == "NCHW":
        images = tf.transpose(images, [0, 3, 1, 2])
    with (
        slim.arg_scope([slim.dropout, slim.batch_norm], is_training=is_training),
        slim.arg_scope(
            [slim.avg_pool2d, slim.max_pool2d, slim.conv2d, slim.separable_conv2d, slim.batch_norm],
            data_format=config.data_format,
        ),
    ):
        stem = net = _stem(images, variant, config)
        end_points = {} if variant.for_imagenet else {"Stem": net}
        for row, net in _cells(stem, cells[:count], config, keep_probs, style):
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
    """Returns the names of the end points to build, in order, without the auxiliary head's."""
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
    """Builds the cells of the rows; yields each row with its output."""
    # Each output with the number of reductions before it.
    outputs: list[tuple[tf.Tensor | None, int]] = [(None, 0), (net, 0)]
    for row, keep_prob in zip(rows, keep_probs, strict=False):
        (net, halved), (prev, prev_halved) = outputs[-1], outputs[row.prev]
        if prev is not None and halved - prev_halved > 1:
            raise _checks.UserError(
                f"num_cells={config.num_cells} with num_reduction_layers="
                f"{config.num_reduction_layers} puts more than one reduction between {row.scope} "
                "and its second input; use more cells or fewer reductions"
            )
        net = build_cell(
            row.cell, net, prev, scope=row.scope, filters=row.filters, stride=row.stride,
            prev_is_larger=prev_halved < halved, style=style, keep_prob=keep_prob,
        )  # fmt: skip
        outputs.append((net, halved + 1 if row.stride > 1 else halved))
        yield row, net


def _keep_probs(
    config: NasnetConfig, num_cells: int, current_step: Any
) -> Sequence[tf.Tensor | float]:
    """Returns each cell's probability to keep a path: it falls with depth and training steps."""
    if config.drop_path_keep_prob == 1.0:
        return [1.0] * num_cells
    step = slim.get_or_create_global_step() if current_step is None else current_step
    with tf.name_scope("drop_path"):
        progress = tf.minimum(1.0, tf.cast(step, tf.float32) / config.total_training_steps)
        dropped = 1.0 - config.drop_path_keep_prob
        return [1.0 - progress * (cell / num_cells * dropped) for cell in range(1, num_cells + 1)]


def _aux_head(net: tf.Tensor, num_classes: int, style: Style) -> tf.Tensor:
    sizes = [static_sizes(net)[axis] for axis in style.spatial_axes]
    if None in sizes or min(sizes) < 5:
        raise ValueError(
            f"the auxiliary head pools 5x5 windows, but its input is {sizes[0]}x{sizes[1]}; "
            "use larger images of a known size, or use_aux_head=False in the configuration"
        )
    net = style.activation(net)
    with slim.variable_scope("aux_logits"):
        net = slim.avg_pool2d(net, [5, 5], stride=3, padding="VALID")
        net = slim.conv2d(net, 128, [1, 1], scope="proj")
        net = style.activation(slim.batch_norm(net, scope="aux_bn0"))
        window = [static_sizes(net)[axis] for axis in style.spatial_axes]
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
    """Returns those end points after the cells that are in `names`."""
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
