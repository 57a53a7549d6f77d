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
        "Preprocessing, by its name or a network's; default: the network's.",
        table="preprocessings",
    )
    train_image_size: tuple[int, int] | None = option(
        None,
        "Size of the training images, in pixels; default: the network's.",
        check=bounds.sides,
        resume="free",  # the size that follows from it is compared
    )
    compute_dtype: str = option(
        "float32",
        "What the network computes in; variables, batch norm's statistics and losses stay float32,"
        " and float16 scales the loss.",
        choices=COMPUTE_DTYPES,
        resume="refused",
    )
    use_grayscale: bool = option(False, "Turn the images to one channel.")


@dataclasses.dataclass(frozen=True, kw_only=True)
class LossOptions(Options):
    """Loss."""

    weight_decay: float = option(
        0.00004, "Coefficient of the L2 penalty on the weights.", check=bounds.non_negative
    )
    label_smoothing: float = option(
        0.0, "Share of each label spread evenly over all classes, below 1.", check=bounds.below_one
    )
    class_weights: str | None = option(
        None,
        "How much the images of each class count in the loss: `auto`, inverse to their number in"
        " the split; or a file with a weight for each class's name, JSON or CSV.",
    )
