"""Options of the network and its loss."""

import dataclasses

from classifier.config import bounds
from classifier.config.options import Options, option

COMPUTE_DTYPES = ("float32", "bfloat16", "float16")


@dataclasses.dataclass(frozen=True, kw_only=True)
class NetworkOptions(Options):
    """Network."""

    model_name: str = option("inception_v3", "Name of the network.", table="networks")
    preprocessing_name: str | None = option(
        None,
        "Name of the preprocessing, or of a network to use its preprocessing. Default: the"
        " network's.",
        table="preprocessings",
    )
    num_classes: int | None = option(
        None,
        "Number of logits, at least the dataset's number of classes. Default: the dataset's.",
        check=bounds.positive,
        resume="free",  # the resolved number is compared
    )
    train_image_size: tuple[int, int] | None = option(
        None,
        "Training image size in pixels. Default: the network's.",
        check=bounds.sides,
        aliases=("image_size",),
        resume="free",  # the resolved size is compared
    )
    compute_dtype: str = option(
        "float32",
        "Dtype that the network computes in. Variables, batch norm's statistics and losses stay"
        " float32; float16 scales the loss.",
        choices=COMPUTE_DTYPES,
        resume="refused",
    )
    use_grayscale: bool = option(
        False, "Convert images to one channel.", aliases=("input_grayscale",)
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class LossOptions(Options):
    """Loss."""

    weight_decay: float = option(
        0.00004, "Coefficient of the L2 penalty on the weights.", check=bounds.non_negative
    )
    label_smoothing: float = option(
        0.0,
        "Fraction of each label to spread evenly over all classes, below 1.",
        check=bounds.below_one,
    )
    class_weights: str | None = option(
        None,
        "Weight of each class in the loss: auto weights classes inversely to their number of"
        " images; or a JSON or CSV file with a weight per class name. Default: all weights are 1.",
    )
