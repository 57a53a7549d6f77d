"""Options of the network and its loss."""

import dataclasses
from collections.abc import Iterator

from classifier.config import bounds
from classifier.config.options import Options, option
from classifier.config.problems import Problem, named

COMPUTE_DTYPES = ("float32", "bfloat16", "float16", "auto")
LOSSES = ("softmax", "sigmoid", "focal", "asymmetric")


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
        " float32; float16 scales the loss; auto is bfloat16 if the processor or the GPUs have"
        " instructions for it, else float32.",
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
    loss: str | None = option(
        None,
        "Loss of the logits: softmax cross entropy, sigmoid cross entropy of each class, or the"
        " latter as focal or asymmetric loss, for classes that few images have. Default: softmax;"
        " sigmoid with several labels an image.",
        choices=LOSSES,
    )
    focal_gamma: float = option(
        2.0,
        "Exponent of the focal loss. 0 is the sigmoid cross entropy.",
        check=bounds.non_negative,
    )
    focal_alpha: float | None = option(
        None,
        "Weight of an image's own classes in the focal loss, 0 to 1; the other classes have the"
        " rest. Default: both have the weight 1.",
        check=bounds.fraction,
    )
    asymmetric_gamma_positive: float = option(
        0.0,
        "Exponent of the asymmetric loss for an image's own classes.",
        check=bounds.non_negative,
    )
    asymmetric_gamma_negative: float = option(
        4.0,
        "Exponent of the asymmetric loss for the other classes.",
        check=bounds.non_negative,
    )
    asymmetric_clip: float = option(
        0.05,
        "Probability up to which another class has no asymmetric loss.",
        check=bounds.below_one,
    )
    label_smoothing: float = option(
        0.0,
        "Fraction of each label to spread evenly over all classes, below 1; with a sigmoid loss,"
        " by which each target moves towards 0.5.",
        check=bounds.below_one,
    )
    class_weights: str | None = option(
        None,
        "Weight of each class in the loss: auto weights classes inversely to their number of"
        " images; or a JSON or CSV file with a weight per class name. Default: all weights are 1.",
    )

    def conflicts(self) -> Iterator[Problem]:
        """Yields parameters of another loss."""
        for name in vars(self):
            loss = name.partition("_")[0]
            if loss in LOSSES and name != loss and self.is_changed(name) and self.loss != loss:
                yield Problem("{} needs {}", named(name), named("loss", loss))
