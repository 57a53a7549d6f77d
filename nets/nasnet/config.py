"""What sets the NASNets and PNASNets apart from one another, besides their cells."""

import dataclasses

from slim import _checks


@dataclasses.dataclass(frozen=True, kw_only=True)
class NasnetConfig:
    """Hyper-parameters of one network, with the original's names.

    `dataclasses.replace(nasnet.mobile_imagenet_config(), data_format="NCHW")` makes a variant.

    Attributes:
      num_cells: normal cells; for a PNASNet, all cells after the stem.
      num_conv_filters: filters of a cell before the first reduction.
      filter_scaling_rate: by what each reduction multiplies the filters.
      stem_multiplier: of the first convolution's filters, which are 32 times this for ImageNet and
        `num_conv_filters` times this for CIFAR.
      drop_path_keep_prob: probability to keep a path of the last cell at the end of training;
        earlier cells and steps keep more.
      dense_dropout_keep_prob: share of the features that dropout keeps before the last layer.
      total_training_steps: steps after which drop path has its full strength.
      num_reduction_layers: reductions after the stem, spread evenly over the cells.
      skip_reduction_layer_input: NASNet: whether the cell after a reduction takes the reduction's
        second input as its own second input too, rather than the reduction's first. PNASNet:
        whether a reducing cell takes its second input from two cells before, as the others do,
        rather than from three.
      use_aux_head: whether training has an auxiliary classifier before the second reduction.
      use_bounded_activation: relu6 and clipping to [-6, 6], which suit quantized inference.
      data_format: "NHWC" or "NCHW", for the computation; images come as NHWC in both.
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
