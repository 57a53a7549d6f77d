"""Options of a trained model.

What model_info.json beside the checkpoint says need not be said again; see `resolve.model`.
"""

import dataclasses

from classifier.config import bounds
from classifier.config.options import Options, option

_MODEL_INFO = "default: what model_info.json beside the checkpoint says"


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModelOptions(Options):
    """Model, where model_info.json beside the checkpoint does not say it."""

    model_name: str | None = option(None, f"Name of the network; {_MODEL_INFO}.", table="networks")
    preprocessing_name: str | None = option(
        None, f"Preprocessing, by its name or a network's; {_MODEL_INFO}.", table="preprocessings"
    )
    labels_offset: int | None = option(
        None, f"Subtracted from each label; {_MODEL_INFO}.", check=bounds.non_negative
    )
    use_grayscale: bool | None = option(None, f"Turn the images to one channel; {_MODEL_INFO}.")
    moving_average_decay: float | None = option(
        None,
        "Use the moving averages of the weights that training kept with this decay;"
        f" {_MODEL_INFO}.",
        check=bounds.fraction,
    )
    quantize: bool | None = option(
        None,
        "Round weights and activations to 8 bits, in the ranges that training with quantize_delay"
        f" kept; {_MODEL_INFO}.",
    )
