"""CIFAR-10: 60,000 colour pictures of 32 x 32 pixels in ten classes.

A. Krizhevsky (2009), Learning Multiple Layers of Features from Tiny Images. The archive is the
binary one, which needs no unpickling: a record is a byte with the label and three planes of pixels.
"""

import os

from datasets import (
    archives,
    conversion,
    dataset_factory,
    dataset_info,
    download,
    image_dataset,
    sources,
)
from slim import _checks, _files
from slim.data import dataset

CLASSES = (
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)
FILE = download.RemoteFile(
    "cifar-10-binary.tar.gz",
    ("https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",),
    170_052_171,
    "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
)
_FOLDER = "cifar-10-batches-bin"
_BATCHES = {
    "train": [f"data_batch_{number}.bin" for number in range(1, 6)],
    "test": ["test_batch.bin"],
}
_SHAPE = (32, 32, 3)
_IMAGE_BYTES = 32 * 32 * 3
_LIMITS = archives.Limits(members=50, bytes=250_000_000)


def get_split(
    split_name: str, dataset_dir: str, file_pattern: str | None = None
) -> dataset.Dataset:
    """Returns the split "train" (50,000 images) or "test" (10,000).

    Args:
      split_name: the split.
      dataset_dir: where `convert`, or the original's script, wrote.
      file_pattern: other file names; `%s` stands for the split.

    Raises:
      UserError: if the split or the directory is not there, or a file is missing or damaged.
    """
    facts = dataset_factory.get_facts("cifar10", split_name, dataset_dir, file_pattern)
    return image_dataset.from_facts(facts, num_channels=3)


def convert(dataset_dir: str, *, source_dir: str | None = None) -> dataset_info.DatasetInfo:
    """Gets the binary archive and writes one record file a split, of PNG.

    Args:
      dataset_dir: made if it is not there.
      source_dir: a folder with the archive; without it, it is downloaded.

    Raises:
      UserError: if a directory cannot be used or `source_dir` lacks the archive.
      RunError: if the archive cannot be had or is damaged, or a file cannot be written.
    """
    with conversion.work_directory(dataset_dir) as work:
        paths = conversion.fetch("cifar10", [FILE], dataset_dir, source_dir)
        folder = conversion.fresh_folder(work, "uncompressed")
        archives.extract(paths[FILE.name], folder, _LIMITS)
        plan = conversion.Plan(
            name="cifar10",
            classes=CLASSES,
            num_channels=3,
            splits={
                split: conversion.Split(
                    items=[
                        item
                        for batch in batches
                        for item in _items(os.path.join(folder, _FOLDER, batch))
                    ],
                    shard_name=f"cifar10_{split}.tfrecord",
                )
                for split, batches in _BATCHES.items()
            },
            inputs=conversion.inputs_of(paths.values()),
            source=FILE.urls[0],
            attribution="A. Krizhevsky (2009), Learning Multiple Layers of Features from Tiny"
            " Images, University of Toronto",
        )
        return conversion.run(plan, dataset_dir, work)


def _items(path: str) -> list[conversion.Item]:
    try:
        with _files.open_regular(path) as file:
            content = file.read()
    except FileNotFoundError:
        content = b""
    size = 1 + _IMAGE_BYTES
    labels = content[::size]
    if not content or len(content) % size or max(labels) >= len(CLASSES):
        raise _checks.RunError(
            f"{os.path.basename(path)} of the archive is missing or is not laid out as CIFAR-10:"
            f" {len(content)} bytes, where each picture takes {size}"
        )
    return [
        conversion.Item(
            sources.RangeSource(path, number * size + 1, _IMAGE_BYTES, f"image {number}"),
            label,
            raw=_SHAPE,
        )
        for number, label in enumerate(labels)
    ]
