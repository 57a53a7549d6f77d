"""Options of the conversion of a dataset."""

import dataclasses

from classifier.config import bounds
from classifier.config.options import Options, option, required
from slim._image_limits import MAX_PIXELS


@dataclasses.dataclass(frozen=True, kw_only=True)
class DataConfig(Options):
    """Data."""

    dataset_name: str = required(
        "Name of the dataset to convert; verify checks an existing dataset instead.",
        table="conversions",
    )
    dataset_dir: str = required(
        "Directory to write the dataset to; with verify, the dataset's directory.",
        path="new_dataset",
        aliases=("output_dir",),
    )
    source_dir: str | None = option(
        None,
        "Directory with archives that were downloaded by hand. Default: they are downloaded. For"
        " folder: the images, SRC/<class>/<image> or SRC/{train,validation,test}/<class>/<image>,"
        " or a zip or tar of them. For list: the directory or archive that its paths refer to"
        " (default: that of the list).",
        path="dataset",
    )
    dataset_file: str | None = option(
        None,
        "List of images (list only): a .csv, .tsv, .jsonl or .parquet file with the columns path,"
        " label and, optionally, split.",
        path="file",
    )
    labels_file: str | None = option(
        None,
        "Class names in the order of their labels: a name per line, labels.txt or label_map.pbtxt"
        " (folder and list only). Default: the sorted names.",
        path="file",
    )
    validation_fraction: float | None = option(
        None,
        "Fraction of each class to hold out for validation (folder and list only). Default: 0.1.",
        check=bounds.fraction,
    )
    split_seed: int | None = option(
        None,
        "Seed of the validation split and of the order of the images (folder and list only)."
        " Default: 0.",
        check=bounds.non_negative,
    )
    multi_label: bool | None = option(
        None,
        "Several labels an image: a file that is linked from several class directories is one image"
        " with the label of each, and a row of a list may have several (folder and list only)."
        " Default: false.",
    )
    on_bad_image: str | None = option(
        None,
        "What to do when a file is not a valid image: error aborts before anything is converted;"
        " skip excludes it. Both list all such files in bad_files.csv. Default: error.",
        choices=("error", "skip"),
    )
    max_pixels: int | None = option(
        None,
        "Maximum number of pixels of an image; larger ones count as invalid. Default:"
        f" {MAX_PIXELS}.",
        check=bounds.positive,
    )
    small_object_area_threshold: float | None = option(
        None,
        "Minimum area of an object to count, as a fraction of the image's area, 0 to 1"
        " (visualwakewords only). Default: 0.005.",
        check=bounds.fraction,
    )
    foreground_class_of_interest: str | None = option(
        None, "COCO category to recognize (visualwakewords only). Default: person."
    )
