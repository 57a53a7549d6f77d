"""Options of prediction."""

import dataclasses

from classifier.config import bounds
from classifier.config.image_limits import max_pixels_option
from classifier.config.model import CHECKPOINT_HELP
from classifier.config.options import Options, option, required


@dataclasses.dataclass(frozen=True, kw_only=True)
class PredictConfig(Options):
    """Prediction."""

    checkpoint_path: str = required(CHECKPOINT_HELP, path="checkpoint")
    images: str = required(
        "Image, directory of images, or pattern such as 'a/*.png'.", path="images"
    )
    max_pixels: int = max_pixels_option()
    top_k: int = option(5, "Number of classes to show per image.", check=bounds.positive)
    batch_size: int = option(32, "Batch size.", check=bounds.positive)
    output_csv: str | None = option(
        None, "File to write the predictions to, as CSV. Default: none.", path="new_file"
    )
