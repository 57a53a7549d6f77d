"""The options of prediction."""

import dataclasses

from classifier.config import bounds
from classifier.config.image_limits import max_pixels_option
from classifier.config.options import Options, option, required


@dataclasses.dataclass(frozen=True, kw_only=True)
class PredictConfig(Options):
    """Prediction."""

    checkpoint_path: str = required(
        "Folder of a run (its newest checkpoint is taken) or one checkpoint.", path="checkpoint"
    )
    images: str = required(
        "A picture, a folder of pictures, or a pattern such as 'a/*.png'.", path="images"
    )
    max_pixels: int = max_pixels_option()
    top_k: int = option(5, "Classes to name for each picture.", check=bounds.positive)
    batch_size: int = option(32, "Pictures of a step.", check=bounds.positive)
    output_csv: str | None = option(
        None, "File to write the predictions to, as CSV.", path="new_file"
    )
