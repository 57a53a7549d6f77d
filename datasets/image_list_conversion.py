"""Images of a list, `--dataset_file`, as TFRecords; see `image_list`."""

import functools

from datasets import dataset_factory, dataset_info, folder, images
from datasets.location import Location
from slim import _checks
from slim._problems import Problem, named

get_split = functools.partial(dataset_factory.get_dataset, "list")


def convert(
    dataset_dir: str,
    *,
    dataset_file: str | None = None,
    source_dir: str | None = None,
    labels_file: str | None = None,
    validation_fraction: float | None = None,
    split_seed: int = 0,
    multi_label: bool = False,
    on_bad_image: str = "error",
    max_pixels: int = images.MAX_PIXELS,
) -> dataset_info.DatasetInfo:
    """Converts the images of a list.

    Args:
      dataset_dir: output directory; created if it does not exist.
      dataset_file: the list; see `list_rows.read`.
      source_dir: directory or archive that relative paths refer to; default: that of the list.
      labels_file: class names in the order of their labels; default: those of the list, sorted.
      validation_fraction: as in `folder.convert`; not allowed if the list has splits.
      split_seed: as in `folder.convert`, like the following ones.
      multi_label: whether an image may have several labels.
      on_bad_image: "error" or "skip".
      max_pixels: maximum number of pixels in an image.

    Raises:
      UserError: if the list is invalid, a split has no images, or images are bad and `on_bad_image`
        is "error".
      RunError: if a file cannot be written.
    """
    if dataset_file is None:
        raise _checks.UserError(
            Problem(
                "{} needs {}, a list of images",
                named("dataset_name", repr("list")),
                named("dataset_file"),
            )
        )
    location = Location(
        "list",
        source_dir,
        dataset_file,
        labels_file=labels_file,
        validation_fraction=validation_fraction,
        split_seed=split_seed,
        multi_label=multi_label,
    )
    paths = {"dataset_file": dataset_file}
    if source_dir is not None:
        paths["source_dir"] = source_dir
    return folder.convert_images(location, dataset_dir, paths, on_bad_image, max_pixels)
