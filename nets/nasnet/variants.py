"""The five NASNets and PNASNets: their configurations and the order of their cells.

NASNet-A: Zoph et al., "Learning Transferable Architectures for Scalable Image Recognition",
https://arxiv.org/abs/1707.07012: (6 @ 768), (4 @ 1056) and (6 @ 4032) of tables 1 to 3. PNASNet-5:
Liu et al., "Progressive Neural Architecture Search", https://arxiv.org/abs/1712.00559, figure 1.
"""

from typing import NamedTuple

from nets.nasnet.cells import NASNET_NORMAL, NASNET_REDUCTION, PNASNET, Cell
from nets.nasnet.config import NasnetConfig


class Variant(NamedTuple):
    """A row of the table.

    Attributes:
      config: default hyper-parameters.
      normal: most of its cells.
      reduction: the cells inserted to halve height and width; None where a normal cell with a
        stride of 2 does so.
      image_size: default height and width, in pixels.
      for_imagenet: whether the stem reduces the images, by a convolution and two cells.
    """

    config: NasnetConfig
    normal: Cell
    reduction: Cell | None
    image_size: int
    for_imagenet: bool = True


VARIANTS = {
    # 3.3 million parameters, 768 features. The authors trained it for 600 epochs with batches of
    # 32, learning rate 0.025 with one period of cosine decay, auxiliary loss weighted 0.4, and the
    # global gradient norm clipped to 5.
    "nasnet_cifar": Variant(
        NasnetConfig(
            num_cells=18,
            num_conv_filters=32,
            stem_multiplier=3.0,
            drop_path_keep_prob=0.6,
            dense_dropout_keep_prob=1.0,
            skip_reduction_layer_input=False,
            total_training_steps=937500,  # 600 epochs of 50,000 images in batches of 32
        ),
        NASNET_NORMAL, NASNET_REDUCTION, 32, for_imagenet=False,
    ),
    # 5.3 million parameters, 564 million multiply-adds, 1056 features. The authors trained it on 50
    # replicas with batches of 32, learning rate 2.0 decayed by 0.97 every 2.4 epochs, auxiliary
    # loss weighted 0.4, label smoothing 0.1, and the gradient norm clipped to 10.
    "nasnet_mobile": Variant(
        NasnetConfig(
            num_cells=12,
            num_conv_filters=44,
            stem_multiplier=1.0,
            drop_path_keep_prob=1.0,
            dense_dropout_keep_prob=0.5,
            skip_reduction_layer_input=False,
        ),
        NASNET_NORMAL, NASNET_REDUCTION, 224,
    ),
    # 88.8 million parameters, 23.8 billion multiply-adds, 4032 features. The authors trained it on
    # 100 replicas with batches of 16 and learning rate 1.5; the rest as for nasnet_mobile.
    "nasnet_large": Variant(
        NasnetConfig(
            num_cells=18,
            num_conv_filters=168,
            stem_multiplier=3.0,
            drop_path_keep_prob=0.7,
            dense_dropout_keep_prob=0.5,
            skip_reduction_layer_input=True,
        ),
        NASNET_NORMAL, NASNET_REDUCTION, 331,
    ),
    # 5.1 million parameters, 587 million multiply-adds, 1080 features.
    "pnasnet_mobile": Variant(
        NasnetConfig(
            num_cells=9,
            num_conv_filters=54,
            stem_multiplier=1.0,
            drop_path_keep_prob=1.0,
            dense_dropout_keep_prob=0.5,
            skip_reduction_layer_input=True,
        ),
        PNASNET, None, 224,
    ),
    # 86.1 million parameters, 24.9 billion multiply-adds, 4320 features.
    "pnasnet_large": Variant(
        NasnetConfig(
            num_cells=12,
            num_conv_filters=216,
            stem_multiplier=3.0,
            drop_path_keep_prob=0.6,
            dense_dropout_keep_prob=0.5,
            skip_reduction_layer_input=True,
        ),
        PNASNET, None, 331,
    ),
}  # fmt: skip


class Row(NamedTuple):
    """A cell in its place.

    Attributes:
      scope: name of its variables' scope.
      cell: its table.
      filters: number of filters of each of its states.
      stride: 2 if it halves height and width.
      prev: index of its second input among the outputs so far: -2 is the one before its input.
      end_point: name of its output, or None.
      aux_scope: scope of the auxiliary head on its output, or None.
    """

    scope: str
    cell: Cell
    filters: int
    stride: int
    prev: int
    end_point: str | None
    aux_scope: str | None = None


def reduction_cells(config: NasnetConfig) -> list[int]:
    """Returns the numbers of the cells where height and width are halved."""
    return evenly_spread(config.num_cells, config.num_reduction_layers)


def evenly_spread(num_cells: int, num_reduction_layers: int) -> list[int]:
    """Returns the numbers of the first cells of all parts of a network but the first."""
    parts = num_reduction_layers + 1
    # In floating point, as in TF-Slim: the rounding decides where a reduction is.
    return [int(float(part) / parts * num_cells) for part in range(1, parts)]


def aux_cell(config: NasnetConfig) -> int | None:
    """Returns the number of the cell with the auxiliary head, before the second reduction."""
    reductions = reduction_cells(config)
    return reductions[1] - 1 if config.use_aux_head and len(reductions) > 1 else None


def rows(variant: Variant, config: NasnetConfig) -> list[Row]:
    """Returns all cells of a network, in the order of their variables.

    Args:
      variant: a row of `VARIANTS`.
      config: its configuration, or another one in place of it.
    """
    result = _stem_rows(variant, config) if variant.for_imagenet else []
    reductions, scaling = reduction_cells(config), 1.0
    skips = config.skip_reduction_layer_input
    for number in range(config.num_cells):
        stride, prev = 1, -2
        if number in reductions:
            scaling *= config.filter_scaling_rate
        filters = int(config.num_conv_filters * scaling)
        if number in reductions and variant.reduction:
            name = f"Reduction_Cell_{reductions.index(number)}"
            result.append(Row(name.lower(), variant.reduction, filters, 2, -2, name))
            prev = -3 if skips else -2
        elif number in reductions:
            stride, prev = 2, -2 if skips else -3
        aux_scope = f"aux_{number}" if number == aux_cell(config) else None
        name = f"Cell_{number}"
        result.append(Row(name.lower(), variant.normal, filters, stride, prev, name, aux_scope))
    return result


def _stem_rows(variant: Variant, config: NasnetConfig) -> list[Row]:
    """Returns the two reducing cells between the first convolution and the cells proper."""
    cell = variant.reduction or variant.normal
    filters, rate = config.num_conv_filters, config.filter_scaling_rate
    return [
        Row("cell_stem_0", cell, int(filters * (1.0 / rate**2)), 2, -2, None),
        Row("cell_stem_1", cell, int(filters * (1.0 / rate**2) * rate), 2, -2, "Stem"),
    ]
