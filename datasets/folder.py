"""Your own images: SRC/<class>/<image>, or SRC/{train,validation,test}/<class>/<image>.

Each class is a directory; its label is its position among the sorted names (by code point, so "Cat"
comes before "ant" and "10" before "2"). Subdirectories of a class belong to it. Names that start
with a dot are ignored.

With several labels an image, a file that is linked (or hard-linked) from several class directories
is one image with the label of each.
"""

import functools
import os
from typing import Any

from datasets import conversion, dataset_factory, dataset_info, images, local_images
from datasets.folder_layout import read_classes
from datasets.location import Location
from slim import _checks
from slim._problems import Problem, named

__all__ = ["convert", "convert_images", "get_split", "read_classes"]

get_split = functools.partial(dataset_factory.get_dataset, "folder")


def convert(
    dataset_dir: str,
    *,
    source_dir: str | None = None,
    labels_file: str | None = None,
    validation_fraction: float | None = None,
    split_seed: int = 0,
    multi_label: bool = False,
    on_bad_image: str = "error",
    max_pixels: int = images.MAX_PIXELS,
) -> dataset_info.DatasetInfo:
    """Converts a directory of images.

    Args:
      dataset_dir: output directory; created if it does not exist.
      source_dir: directory or archive (zip, tar) with one directory per class, or per split.
      labels_file: class names in the order of their labels; see `label_names.read`. Default: the
        names of the directories, sorted.
      validation_fraction: fraction of each class to hold out, from 0 to below 1; default: 0.1. Not
        allowed if `source_dir` has splits.
      split_seed: decides which images are held out, and the order of the records.
      multi_label: whether a file in several class directories has several labels, instead of being
        several images.
      on_bad_image: "error" or "skip"; see `conversion.run`.
      max_pixels: maximum number of pixels in an image.

    Raises:
      UserError: if `source_dir` has another layout, a class or split has no images, or images are
        bad and `on_bad_image` is "error".
      RunError: if a file cannot be written.
    """
    if source_dir is None:
        raise _checks.UserError(
            Problem(
                "{} needs {}, a directory with SRC/<class>/<image>",
                named("dataset_name", repr("folder")),
                named("source_dir"),
            )
        )
    if not os.path.isdir(source_dir) and not os.path.isfile(source_dir):
        raise _checks.UserError(
            Problem("{} is not a directory", named("source_dir", repr(source_dir)))
        )
    location = Location(
        "folder",
        source_dir,
        labels_file=labels_file,
        validation_fraction=validation_fraction,
        split_seed=split_seed,
        multi_label=multi_label,
    )
    return convert_images(
        location, dataset_dir, {"source_dir": source_dir}, on_bad_image, max_pixels
    )


def convert_images(
    location: Location,
    dataset_dir: str,
    paths: dict[str, str],
    on_bad_image: str,
    max_pixels: int,
) -> dataset_info.DatasetInfo:
    """Converts local images, with the splits, order and shards in which they are read in place.

    Args:
      location: of the images.
      dataset_dir: output directory.
      paths: option -> path of the images, for dataset_info.json.
      on_bad_image: "error" or "skip".
      max_pixels: maximum number of pixels in an image.

    Raises:
      UserError, RunError: as `convert`.
    """
    local = local_images.read(location)
    source = os.path.abspath(local_images.source_path(location))
    options: dict[str, Any] = {name: os.path.abspath(path) for name, path in paths.items()}
    options["split_seed"] = location.split_seed
    if location.multi_label:
        options["multi_label"] = True
    if location.labels_file is not None:
        options["labels_file"] = os.path.abspath(location.labels_file)
    if local.is_divided:
        fraction = location.validation_fraction
        options["validation_fraction"] = (
            local_images.DEFAULT_FRACTION if fraction is None else fraction
        )
    directory = source if os.path.isdir(source) else None
    with conversion.work_directory(dataset_dir, directory) as work:
        plan = conversion.Plan(
            name=location.name,
            classes=local.classes,
            num_channels=3,
            splits=local.splits,
            inputs=(),  # the items have sizes and times
            source=source,
            source_files=local_images.summary(location),
            options=options,
            multi_label=location.multi_label,
        )
        return conversion.run(
            plan, dataset_dir, work, on_bad_image=on_bad_image, max_pixels=max_pixels
        )
