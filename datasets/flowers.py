"""Flowers: 3,670 photographs in five classes, under Creative Commons licenses.

The TensorFlow Team (2019), Flowers. As in TF-Slim, 350 images drawn from all classes are held out
for validation. TF-Slim shuffled the files in the order in which the file system listed them; here
they are sorted by name first, so that the split is the same everywhere.
"""

import functools
import os
import random

from datasets import archives, conversion, dataset_factory, dataset_info, download, folder, images
from slim import _checks

FILE = download.RemoteFile(
    "flower_photos.tgz",
    (
        "https://storage.googleapis.com/download.tensorflow.org/example_images/flower_photos.tgz",
        "http://download.tensorflow.org/example_images/flower_photos.tgz",
    ),
    228_813_984,
    "4c54ace7911aaffe13a365c34f650e71dd5bf1be0a58b464e5a7183e3e595d9c",
)
NUM_VALIDATION = 350
NUM_SHARDS = 5
_SEED = 0
_DIRECTORY = "flower_photos"
_LIMITS = archives.Limits(members=20_000, bytes=1_000_000_000)

get_split = functools.partial(dataset_factory.get_dataset, "flowers")


def convert(
    dataset_dir: str,
    *,
    source_dir: str | None = None,
    on_bad_image: str = "error",
    max_pixels: int = images.MAX_PIXELS,
) -> dataset_info.DatasetInfo:
    """Downloads the archive and writes five shards per split.

    Args:
      dataset_dir: output directory; created if it does not exist.
      source_dir: directory with the archive; default: it is downloaded.
      on_bad_image: "error" or "skip"; see `conversion.run`.
      max_pixels: maximum number of pixels in an image.

    Raises:
      UserError: if a directory cannot be used, `source_dir` lacks the archive, or images are bad
        and `on_bad_image` is "error".
      RunError: if the archive cannot be downloaded or is damaged, or a file cannot be written.
    """
    with conversion.work_directory(dataset_dir) as work:
        paths = conversion.fetch("flowers", [FILE], dataset_dir, source_dir)
        extracted = conversion.fresh_directory(work, "uncompressed")
        archives.extract(paths[FILE.name], extracted, _LIMITS)
        photos = os.path.join(extracted, _DIRECTORY)
        classes, items = folder.read_classes(photos, photos) if os.path.isdir(photos) else ([], [])
        if len(items) <= NUM_VALIDATION:
            raise _checks.RunError(
                f"Archive {paths[FILE.name]} has {len(items)} images in {_DIRECTORY}/<class>/;"
                f" more than {NUM_VALIDATION} are needed"
            )
        order = shuffle(items)
        parts = {"train": order[NUM_VALIDATION:], "validation": order[:NUM_VALIDATION]}
        plan = conversion.Plan(
            name="flowers",
            classes=classes,
            num_channels=3,
            splits={
                split: conversion.Split(
                    items=part,
                    shard_name=f"flowers_{split}_{{shard:05d}}-of-{{count:05d}}.tfrecord",
                    num_shards=NUM_SHARDS,
                )
                for split, part in parts.items()
            },
            inputs=conversion.inputs_of(paths.values()),
            formats={"jpeg": "jpg", "png": "png"},
            upright=False,  # as in TF-Slim
            source=FILE.urls[0],
            attribution="The TensorFlow Team (2019), Flowers; photographs under Creative Commons"
            " licenses, by the authors listed in the archive's LICENSE.txt",
        )
        return conversion.run(
            plan, dataset_dir, work, on_bad_image=on_bad_image, max_pixels=max_pixels
        )


def shuffle(items: list[conversion.Item]) -> list[conversion.Item]:
    """Returns the items in the order of Python 2's `random.shuffle` with TF-Slim's seed, 0."""
    rng = random.Random(_SEED)
    order = list(items)
    for last in range(len(order) - 1, 0, -1):
        index = int(rng.random() * (last + 1))
        order[last], order[index] = order[index], order[last]
    return order
