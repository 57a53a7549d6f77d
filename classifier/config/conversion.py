"""Options of making a dataset."""

import dataclasses

from classifier.config import bounds
from classifier.config.options import Options, option, required
from slim._image_limits import MAX_PIXELS


@dataclasses.dataclass(frozen=True, kw_only=True)
class DataConfig(Options):
    """Data."""

    dataset_name: str = required(
        "Name of the dataset; or verify, which reads a dataset and tells what is wrong with it.",
        table="conversions",
    )
    dataset_dir: str = required("Folder to write the dataset's files to.", path="new_folder")
    source_dir: str | None = option(
        None,
        "Folder with the archives fetched by hand, which are downloaded without it; for folder, the"
        " folder of pictures: SRC/<class>/<image> or SRC/{train,validation,test}/<class>/<image>.",
        path="folder",
    )
    validation_fraction: float | None = option(
        None,
        "Share of each class held out for validation, for folder; without it, 0.1.",
        check=bounds.fraction,
    )
    split_seed: int | None = option(
        None,
        "Decides, for folder, which pictures are held out and the order; without it, 0.",
        check=bounds.non_negative,
    )
    on_bad_image: str | None = option(
        None,
        "What to do when files are no good pictures: error (the default) makes nothing, skip leaves"
        " them out; bad_files.csv lists them all.",
        choices=("error", "skip"),
    )
    max_pixels: int | None = option(
        None,
        "Largest number of pixels of an image; one with more is refused before it is decoded."
        f" Default: {MAX_PIXELS}.",
        check=bounds.positive,
    )
    small_object_area_threshold: float | None = option(
        None,
        "Share of the picture's area, 0 to 1, above which an object counts, for visualwakewords;"
        " without it, 0.005.",
        check=bounds.fraction,
    )
    foreground_class_of_interest: str | None = option(
        None, "Category of COCO to be recognized, for visualwakewords; without it, person."
    )
