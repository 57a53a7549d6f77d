"""CIFAR-10: 60,000 color images of 32 x 32 pixels in ten classes.

A. Krizhevsky (2009), Learning Multiple Layers of Features from Tiny Images. The binary version of
the archive is used, which needs no unpickling: a record is a label byte and three planes of pixels.
"""

import functools
import os

from datasets import archives, conversion, dataset_factory, dataset_info, download, sources
from slim import _checks, _files

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
_DIRECTORY = "cifar-10-batches-bin"
_BATCHES = {
    "train": [f"data_batch_{number}.bin" for number in range(1, 6)],
    "test": ["test_batch.bin"],
}
_SHAPE = (32, 32, 3)
_IMAGE_BYTES = 32 * 32 * 3
_LIMITS = archives.Limits(members=50, bytes=250_000_000)

get_split = functools.partial(dataset_factory.get_dataset, "cifar10")


def convert(dataset_dir: str, *, source_dir: str | None = None) -> dataset_info.DatasetInfo:
    """Downloads the binary archive and writes one file of PNG records per split.

    Args:
      dataset_dir: output directory; created if it does not exist.
      source_dir: directory with the archive; default: it is downloaded.

    Raises:
      UserError: if a directory cannot be used or `source_dir` lacks the archive.
      RunError: if the archive cannot be downloaded or is damaged, or a file cannot be written.
    """
    with conversion.work_directory(dataset_dir) as work:
        paths = conversion.fetch("cifar10", [FILE], dataset_dir, source_dir)
        extracted = conversion.fresh_directory(work, "uncompressed")
        archives.extract(paths[FILE.name], extracted, _LIMITS)
        plan = conversion.Plan(
            name="cifar10",
            classes=CLASSES,
            num_channels=3,
            splits={
                split: conversion.Split(
                    items=[
                        item
                        for batch in batches
                        for item in _items(os.path.join(extracted, _DIRECTORY, batch))
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
            f"{os.path.basename(path)} is missing in the archive or is not in CIFAR-10's format:"
            f" {len(content)} bytes, where each record has {size}. Download the archive again"
        )
    return [
        conversion.Item(
            sources.RangeSource(path, number * size + 1, _IMAGE_BYTES, f"image {number}"),
            label,
            raw=_SHAPE,
        )
        for number, label in enumerate(labels)
    ]
