"""The table of datasets.

A dataset's module is imported only when the dataset is converted, and TensorFlow only when a split
is read, so that the table itself loads quickly.
"""

import importlib
import os
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from datasets import dataset_info, local_images, shard_names, splits
from datasets.location import Location
from slim import _checks
from slim._problems import Problem, named

if TYPE_CHECKING:
    from slim.data import dataset

_IMAGE_OPTIONS = ("on_bad_image", "max_pixels")
_LOCAL_OPTIONS = (
    "labels_file",
    "validation_fraction",
    "split_seed",
    "multi_label",
    *_IMAGE_OPTIONS,
)

DATASETS = {
    spec.name: spec
    for spec in (
        splits.DatasetSpec(
            name="cifar10",
            module=".cifar10",
            file_pattern="cifar10_%s.tfrecord",
            num_classes=10,
            split_sizes={"train": 50_000, "test": 10_000},
            options=("source_dir",),
        ),
        splits.DatasetSpec(
            name="digits",
            module=".digits",
            file_pattern="digits_%s-*.tfrecord",
            num_classes=10,
            num_channels=1,
        ),
        splits.DatasetSpec(
            name="flowers",
            module=".flowers",
            file_pattern="flowers_%s_*.tfrecord",
            num_classes=5,
            split_sizes={"train": 3_320, "validation": 350},
            options=("source_dir", *_IMAGE_OPTIONS),
        ),
        splits.DatasetSpec(
            name="folder",
            module=".folder",
            file_pattern="folder_%s-*.tfrecord",
            options=("source_dir", *_LOCAL_OPTIONS),
        ),
        splits.DatasetSpec(
            name="imagenet",
            module=".imagenet",
            file_pattern="%s-*",
            num_classes=1001,
            extra_items=("label_text", "object/bbox", "object/label"),
            split_sizes={"train": 1_281_167, "validation": 50_000},
            options=("source_dir", *_IMAGE_OPTIONS),
        ),
        splits.DatasetSpec(
            name="list",
            module=".image_list_conversion",
            file_pattern="list_%s-*.tfrecord",
            options=("dataset_file", "source_dir", *_LOCAL_OPTIONS),
        ),
        splits.DatasetSpec(
            name="mnist",
            module=".mnist",
            file_pattern="mnist_%s.tfrecord",
            num_classes=10,
            num_channels=1,
            split_sizes={"train": 60_000, "test": 10_000},
            options=("source_dir",),
        ),
        splits.DatasetSpec(
            name="visualwakewords",
            module=".visualwakewords",
            file_pattern="%s.record-*",
            num_classes=2,
            extra_items=("object/bbox",),
            split_sizes={"train": 82_783, "val": 40_504},
            options=(
                "source_dir",
                "small_object_area_threshold",
                "foreground_class_of_interest",
                *_IMAGE_OPTIONS,
            ),
        ),
    )
}

# Families of datasets that share one module: name pattern -> module.
TFDS_PREFIX = "tfds:"
FAMILIES = {f"{TFDS_PREFIX}NAME": ".from_tfds"}

# tensorflow_datasets imports importlib_resources without declaring the dependency.
_TFDS_PACKAGES = {
    "tensorflow_datasets": "tensorflow-datasets",
    "importlib_resources": "importlib_resources",
}

# Values of --dataset_name that do not convert a dataset: name -> module with `run`.
ACTIONS = {"verify": ".verify"}


def get_spec(name: str) -> splits.DatasetSpec:
    """Returns a dataset's row of the table.

    Raises:
      UserError: if the name is unknown; the message lists the known names and suggests one.
    """
    if name.startswith(TFDS_PREFIX):
        return _tfds_spec(name)
    return DATASETS[_checks.one_of("dataset_name", name, (*DATASETS, *FAMILIES))]


def is_family_member(name: str) -> bool:
    """Returns whether the name belongs to one of `FAMILIES`, such as tfds:mnist."""
    return name.startswith(TFDS_PREFIX)


def check_convertible(name: str) -> None:
    """Checks that the packages which the conversion needs are installed.

    Raises:
      UserError: if one is missing (the message has the command that installs it), or if no name
        follows "tfds:".
    """
    if is_family_member(name):
        get_spec(name)
        _checks.installed(_TFDS_PACKAGES)


def file_stem(tfds_name: str) -> str:
    """Returns the first part of the shard names of a TFDS dataset: its name, safe for files."""
    return re.sub(r"[^A-Za-z0-9]+", "_", tfds_name).strip("_")


def _tfds_spec(name: str) -> splits.DatasetSpec:
    tfds_name = name.removeprefix(TFDS_PREFIX)
    if not file_stem(tfds_name):
        raise _checks.UserError(
            Problem(
                "{} lacks the name of a TFDS dataset. Example: tfds:mnist",
                named("dataset_name", repr(name)),
            )
        )
    return splits.DatasetSpec(
        name=name,
        module=".from_tfds",
        file_pattern=f"{file_stem(tfds_name)}_%s-*.tfrecord",
        options=("source_dir", *_IMAGE_OPTIONS),
        arguments={"name": tfds_name},
    )


def get_metadata(
    name: str, split_name: str, dataset_dir: str, file_pattern: str | None = None
) -> splits.SplitMetadata:
    """Checks a split's files and returns its metadata, without TensorFlow.

    Arguments and errors are those of `get_dataset`.
    """
    return metadata_at(Location(name, dataset_dir, file_pattern=file_pattern), split_name)


def metadata_at(location: Location, split_name: str) -> splits.SplitMetadata:
    """Checks a split's files, shards or images, and returns its metadata, without TensorFlow.

    Args:
      location: of the dataset.
      split_name: such as "train".

    Raises:
      UserError: as `get_dataset`, or if an option of the location does not apply to the dataset.
    """
    spec = get_spec(location.name)
    if is_in_place(location):
        return local_images.metadata(location, split_name)
    return splits.read_metadata(
        spec, split_name, _shard_directory(location), location.file_pattern, location.labels_file
    )


def split_names(location: Location) -> list[str]:
    """Returns the names of the splits of a dataset; their shards may be incomplete.

    Raises:
      UserError: if the dataset does not exist or is damaged, or an option of the location does not
        apply to it.
    """
    spec = get_spec(location.name)
    if is_in_place(location):
        return list(local_images.read(location).splits)
    return splits.split_names(spec, _shard_directory(location), location.file_pattern)


def is_in_place(location: Location) -> bool:
    """Returns whether the images of a dataset are read from a directory, an archive or a list."""
    if location.name == "list":
        return location.file is not None
    directory = location.directory
    if location.name != "folder" or directory is None or location.file_pattern is not None:
        return False
    if not os.path.exists(directory) or shard_names.has_only_records(directory):
        return False
    return not splits.has_shards(get_spec("folder"), directory)


def _shard_directory(location: Location) -> str:
    """Returns the directory of a dataset's shards.

    Raises:
      UserError: if there is none, or an option for images read in place is set.
    """
    for name in ("validation_fraction", "folds"):
        if getattr(location, name) is not None:
            raise _checks.UserError(
                Problem(
                    "{} has no effect: {!r} is read from TFRecords, which have their splits. It"
                    " applies to images that are read in place",
                    named(name, getattr(location, name)),
                    location.name,
                )
            )
    if location.directory is None:
        missing = "dataset_file" if location.name == "list" else "dataset_dir"
        raise _checks.UserError(
            Problem("{} needs {}", named("dataset_name", location.name), named(missing))
        )
    return location.directory


def get_dataset(
    name: str, split_name: str, dataset_dir: str, file_pattern: str | None = None
) -> "dataset.Dataset":
    """Returns one split of a dataset.

    Args:
      name: a name of `DATASETS`, or tfds:NAME.
      split_name: such as "train" or "validation".
      dataset_dir: directory with the TFRecord shards, written here or by TF-Slim's converters.
      file_pattern: file names, where they differ from the dataset's own; `%s` stands for the split.

    Raises:
      UserError: if the name is unknown, the split or the directory does not exist, or a shard is
        missing or damaged.
    """
    return open_split(get_metadata(name, split_name, dataset_dir, file_pattern))


def open_split(metadata: splits.SplitMetadata) -> "dataset.Dataset":
    """Returns the split with some metadata."""
    from datasets import image_dataset  # loads TensorFlow

    return image_dataset.from_metadata(metadata)


def recorded_name(dataset_dir: str) -> str | None:
    """Returns the name of the dataset in a directory; None without dataset_info.json.

    Raises:
      UserError: if that file is damaged.
    """
    info = dataset_info.read(dataset_dir) if os.path.isdir(dataset_dir) else None
    return info.name if info else None


def example_images(count: int) -> tuple[str, Sequence[bytes]]:
    """Returns real images that need no dataset directory.

    Args:
      count: maximum number of images.

    Returns:
      the dataset's name, for messages, and PNG files with one channel.
    """
    module = importlib.import_module(DATASETS["digits"].module, __package__)
    return "digits", [image.encoded for image in module.read_images(count)]
