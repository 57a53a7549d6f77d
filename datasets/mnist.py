"""MNIST: 70,000 handwritten digits of 28 x 28 pixels, white on black.

Y. LeCun, C. Cortes and C. Burges, http://yann.lecun.com/exdb/mnist/. Two files hold the pixels
after a big-endian header of 16 bytes, two the labels after one of 8 bytes.
"""

import functools
import math
import os
import struct

from datasets import archives, conversion, dataset_factory, dataset_info, download, sources
from slim import _checks, _files

CLASSES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
PLACES = (
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "http://yann.lecun.com/exdb/mnist/",
)
FILES = {
    "train-images-idx3-ubyte.gz": (
        9_912_422,
        "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
    ),
    "train-labels-idx1-ubyte.gz": (
        28_881,
        "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
    ),
    "t10k-images-idx3-ubyte.gz": (
        1_648_877,
        "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
    ),
    "t10k-labels-idx1-ubyte.gz": (
        4_542,
        "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
    ),
}
_PREFIXES = {"train": "train", "test": "t10k"}
_IMAGES_MAGIC, _LABELS_MAGIC = 0x803, 0x801
_SIDE = 28
_MAX_BYTES = 64_000_000

get_split = functools.partial(dataset_factory.get_dataset, "mnist")


def convert(dataset_dir: str, *, source_dir: str | None = None) -> dataset_info.DatasetInfo:
    """Downloads the four files and writes one file of PNG records per split.

    Args:
      dataset_dir: output directory; created if it does not exist.
      source_dir: directory with the four files; default: they are downloaded.

    Raises:
      UserError: if a directory cannot be used or `source_dir` lacks a file.
      RunError: if a file cannot be downloaded, is damaged or cannot be written.
    """
    files = [
        download.RemoteFile(name, tuple(place + name for place in PLACES), size, sha256)
        for name, (size, sha256) in FILES.items()
    ]
    with conversion.work_directory(dataset_dir) as work:
        paths = conversion.fetch("mnist", files, dataset_dir, source_dir)
        uncompressed = conversion.fresh_directory(work, "uncompressed")
        plan = conversion.Plan(
            name="mnist",
            classes=CLASSES,
            num_channels=1,
            splits={
                split: conversion.Split(
                    items=_items(paths, prefix, uncompressed), shard_name=f"mnist_{split}.tfrecord"
                )
                for split, prefix in _PREFIXES.items()
            },
            inputs=conversion.inputs_of(paths.values()),
            source=PLACES[-1],
            attribution="MNIST: Y. LeCun, C. Cortes and C. Burges, from NIST Special Databases",
        )
        return conversion.run(plan, dataset_dir, work)


def _items(paths: dict[str, str], prefix: str, directory: str) -> list[conversion.Item]:
    images, labels = (
        _uncompress(paths[f"{prefix}-{kind}-ubyte.gz"], directory)
        for kind in ("images-idx3", "labels-idx1")
    )
    count, *sides = _header(images, _IMAGES_MAGIC, 3)
    (label_count,) = _header(labels, _LABELS_MAGIC, 1)
    size = _SIDE * _SIDE
    if sides != [_SIDE, _SIDE] or label_count != count:
        raise _checks.RunError(
            f"{images} has {count} images of {sides[0]} x {sides[1]} and {labels} has"
            f" {label_count} labels. Expected: images of {_SIDE} x {_SIDE} and one label per image"
        )
    start = os.path.getsize(images) - count * size
    with _files.open_regular(labels) as file:
        values = file.read()[-count:] if count else b""
    if max(values, default=0) >= len(CLASSES):
        raise _checks.RunError(f"{labels} has a label outside 0..{len(CLASSES) - 1}")
    return [
        conversion.Item(
            sources.RangeSource(images, start + number * size, size, f"image {number}"),
            values[number],
            raw=(_SIDE, _SIDE, 1),
        )
        for number in range(count)
    ]


def _uncompress(path: str, directory: str) -> str:
    target = os.path.join(directory, os.path.basename(path).removesuffix(".gz"))
    archives.gunzip(path, target, _MAX_BYTES)
    return target


def _header(path: str, magic: int, rank: int) -> tuple[int, ...]:
    """Returns the shape in a file's header, after comparing it with the file's size."""
    size = 4 + 4 * rank
    with _files.open_regular(path) as file:
        head = file.read(size)
    if len(head) == size:
        file_magic, *shape = struct.unpack(f">{rank + 1}I", head)
        if file_magic == magic and os.path.getsize(path) == size + math.prod(shape):
            return tuple(shape)
    raise _checks.RunError(f"{path} is not in MNIST's format. Download it again")
