"""Hyper-parameters of NASNet and PNASNet."""

import dataclasses
from typing import Any

from slim import _checks


@dataclasses.dataclass(kw_only=True)
class NasnetConfig:
    """Hyper-parameters of one network, under TF-Slim's names.

    `dataclasses.replace(nasnet.mobile_imagenet_config(), data_format="NCHW")` changes one of them
    in a copy, `set_hparam` in place, as in TF-Slim.

    Attributes:
      num_cells: normal cells; for a PNASNet, all cells after the stem.
      num_conv_filters: filters of a cell before the first reduction.
      filter_scaling_rate: factor of the number of filters at each reduction.
      stem_multiplier: the first convolution has 32 times as many filters for ImageNet, and
        `num_conv_filters` times as many for CIFAR.
      drop_path_keep_prob: probability to keep a path of the last cell at the end of training;
        earlier cells and steps keep more.
      dense_dropout_keep_prob: fraction of the features that dropout keeps before the last layer.
      total_training_steps: steps after which drop path has its full strength.
      num_reduction_layers: reductions after the stem, spread evenly over the cells.
      skip_reduction_layer_input: NASNet: whether the second input of the cell after a reduction is
        the reduction's second input, rather than its first. PNASNet: whether a reducing cell's
        second input comes from two cells before, as for the other cells, rather than from three.
      use_aux_head: whether training has an auxiliary classifier before the second reduction.
      use_bounded_activation: whether to use relu6 and clip to [-6, 6], for quantized inference.
      data_format: layout of the computation, "NHWC" or "NCHW"; images are NHWC in both cases.
    """

    num_cells: int
    num_conv_filters: int
    stem_multiplier: float
    drop_path_keep_prob: float
    dense_dropout_keep_prob: float
    skip_reduction_layer_input: bool
    total_training_steps: int = 250000
    filter_scaling_rate: float = 2.0
    num_reduction_layers: int = 2
    use_aux_head: bool = True
    use_bounded_activation: bool = False
    data_format: str = "NHWC"

    def __post_init__(self) -> None:
        _checks.positive(
            num_cells=self.num_cells,
            num_conv_filters=self.num_conv_filters,
            stem_multiplier=self.stem_multiplier,
            drop_path_keep_prob=self.drop_path_keep_prob,
            dense_dropout_keep_prob=self.dense_dropout_keep_prob,
            total_training_steps=self.total_training_steps,
            filter_scaling_rate=self.filter_scaling_rate,
        )
        _checks.in_range(
            0.0,
            1.0,
            drop_path_keep_prob=self.drop_path_keep_prob,
            dense_dropout_keep_prob=self.dense_dropout_keep_prob,
        )
        _checks.non_negative(num_reduction_layers=self.num_reduction_layers)
        _checks.one_of("data_format", self.data_format, ("NHWC", "NCHW"))

    def set_hparam(self, name: str, value: Any) -> None:
        """Sets a hyper-parameter, in its type.

        Raises:
          UserError: if there is none of this name, or the value is out of range or a string for a
            number.
        """
        values = dataclasses.asdict(self)
        kind = type(values[_checks.one_of("name", name, list(values))])
        if isinstance(value, str) and kind is not str:
            raise _checks.UserError(f"{name}={value!r} must be of type {kind.__name__}")
        vars(self).update(vars(dataclasses.replace(self, **{name: kind(value)})))
