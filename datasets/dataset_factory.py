"""The table of datasets.

A module is imported when its dataset is asked for, so the table loads no TensorFlow.
"""

import importlib
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from datasets import splits
from slim import _checks

if TYPE_CHECKING:
    from slim.data import dataset

_IMAGE_OPTIONS = ("on_bad_image", "max_pixels")

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
            options=("source_dir", "validation_fraction", "split_seed", *_IMAGE_OPTIONS),
        ),
        splits.DatasetSpec(
            name="imagenet",
            module=".imagenet",
            file_pattern="%s-*",
            num_classes=1001,
            split_sizes={"train": 1_281_167, "validation": 50_000},
            options=("source_dir", *_IMAGE_OPTIONS),
        ),
        splits.DatasetSpec(
            name="mnist",
            module=".mnist",
            file_pattern="mnist_%s.tfrecord",
            num_classes=10,
            split_sizes={"train": 60_000, "test": 10_000},
            options=("source_dir",),
        ),
        splits.DatasetSpec(
            name="visualwakewords",
            module=".visualwakewords",
            file_pattern="%s.record-*",
            num_classes=2,
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

# Whole families of datasets: what their names begin with, and a stand-in for the rest.
TFDS_PREFIX = "tfds:"
FAMILIES = {f"{TFDS_PREFIX}NAME": ".from_tfds"}

# The second is asked for by the first, which forgets to say so.
_TFDS_PACKAGES = {
    "tensorflow_datasets": "tensorflow-datasets",
    "importlib_resources": "importlib_resources",
}

# What can be done with a directory besides converting a dataset into it: name -> module with `run`.
ACTIONS = {"verify": ".verify"}


def get_spec(name: str) -> splits.DatasetSpec:
    """Returns a dataset's row.

    Raises:
      UserError: if the name is not known; the message has the nearest and all known names.
    """
    if name.startswith(TFDS_PREFIX):
        return _tfds_spec(name)
    return DATASETS[_checks.one_of("dataset_name", name, (*DATASETS, *FAMILIES))]


def is_of_a_family(name: str) -> bool:
    """Says whether `get_spec` makes a row for such a name."""
    return name.startswith(TFDS_PREFIX)


def check_convertible(name: str) -> None:
    """Refuses a dataset whose conversion needs an extra that is not installed.

    Raises:
      UserError: with the command that installs it, or if "tfds:" has no name behind it.
    """
    if is_of_a_family(name):
        get_spec(name)
        _checks.installed(_TFDS_PACKAGES)


def file_stem(tfds_name: str) -> str:
    """Returns what the shards of a dataset of TFDS begin with: its name as files may have it."""
    return re.sub(r"[^A-Za-z0-9]+", "_", tfds_name).strip("_")


def _tfds_spec(name: str) -> splits.DatasetSpec:
    tfds_name = name.removeprefix(TFDS_PREFIX)
    if not file_stem(tfds_name):
        raise _checks.UserError(f"dataset_name={name!r} needs a name of TFDS, as in tfds:mnist")
    return splits.DatasetSpec(
        name=name,
        module=".from_tfds",
        file_pattern=f"{file_stem(tfds_name)}_%s-*.tfrecord",
        options=("source_dir", *_IMAGE_OPTIONS),
        arguments={"name": tfds_name},
    )


def get_facts(
    name: str, split_name: str, dataset_dir: str, file_pattern: str | None = None
) -> splits.SplitFacts:
    """Checks a split's files and returns its facts, without TensorFlow.

    Takes and raises what `get_dataset` does.
    """
    return splits.read_facts(get_spec(name), split_name, dataset_dir, file_pattern)


def get_dataset(
    name: str, split_name: str, dataset_dir: str, file_pattern: str | None = None
) -> "dataset.Dataset":
    """Returns one split of a dataset.

    Args:
      name: a name of `DATASETS`, or tfds:NAME.
      split_name: such as "train" or "validation".
      dataset_dir: where the TFRecord shards are.
      file_pattern: other file names than the dataset's own; `%s` stands for the split.

    Raises:
      UserError: if the name, the split or the directory is not there, or a shard is missing or
        damaged.
    """
    if is_of_a_family(name):
        get_facts(name, split_name, dataset_dir, file_pattern)  # its module knows no name
    module = importlib.import_module(get_spec(name).module, __package__)
    split: dataset.Dataset = module.get_split(split_name, dataset_dir, file_pattern)
    return split


def example_pictures(count: int) -> tuple[str, Sequence[bytes]]:
    """Returns real pictures that are there without any folder.

    Args:
      count: how many at most.

    Returns:
      what they are, for messages, and PNG files of one channel.
    """
    module = importlib.import_module(DATASETS["digits"].module, __package__)
    return "digits", [image.encoded for image in module.read_images()[:count]]
