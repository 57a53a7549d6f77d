"""Options of a trained model.

What model_info.json next to the checkpoint has, need not be set; see `classifier.resolve.model`.
"""

import dataclasses

from classifier.config import bounds
from classifier.config.data import AUTO_OFFSET
from classifier.config.options import Options, option

CHECKPOINT_HELP = "Checkpoint, or directory of a run (its newest checkpoint is used)."


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModelOptions(Options):
    """Model (default: from model_info.json next to the checkpoint)."""

    model_name: str | None = option(
        None,
        "Name of the network. Default: from model_info.json.",
        table="networks",
        tf_slim="inception_v3",
    )
    preprocessing_name: str | None = option(
        None,
        "Name of the preprocessing, or of a network to use its preprocessing. Default: from"
        " model_info.json, else the network's.",
        table="preprocessings",
    )
    num_classes: int | None = option(
        None,
        "Number of logits, at least the dataset's number of classes. Default: from"
        " model_info.json, else the dataset's.",
        check=bounds.positive,
    )
    labels_offset: int | None = option(
        None,
        "Number to subtract from each label. Default, or auto: from model_info.json, else that of a"
        " published checkpoint on ImageNet, else 0.",
        check=bounds.non_negative,
        auto=AUTO_OFFSET,
        tf_slim=0,
    )
    use_grayscale: bool | None = option(
        None,
        "Convert images to one channel. Default: from model_info.json, else false.",
        aliases=("input_grayscale",),
        tf_slim=False,
    )
    moving_average_decay: float | None = option(
        None,
        "Use the moving averages of the weights that training kept with this decay. Default: from"
        " model_info.json, else the weights themselves are used.",
        check=bounds.fraction,
    )
    multi_label: bool | None = option(
        None,
        "Several labels an image: the classes' probabilities are sigmoids. Default: from"
        " model_info.json, else as the dataset's dataset_info.json says.",
    )
    quantize: bool | None = option(
        None,
        "Round weights and activations to 8 bits, in the ranges learned by training with"
        " --quantize_delay. Default: from model_info.json, else false.",
        tf_slim=False,
    )
