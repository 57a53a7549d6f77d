"""Flowers: 3,670 photographs of five kinds, under Creative Commons licences.

The TensorFlow Team (2019), Flowers. As in the original, 350 pictures drawn over all classes are for
validation. Which ones, its script left to the order in which the file system listed the files; here
the order is that of the names.
"""

import functools
import os
import random

from datasets import (
    archives,
    conversion,
    dataset_factory,
    dataset_info,
    download,
    folder,
    images,
)
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
_FOLDER = "flower_photos"
_LIMITS = archives.Limits(members=20_000, bytes=1_000_000_000)


get_split = functools.partial(dataset_factory.get_dataset, "flowers")


def convert(
    dataset_dir: str,
    *,
    source_dir: str | None = None,
    on_bad_image: str = "error",
    max_pixels: int = images.MAX_PIXELS,
) -> dataset_info.DatasetInfo:
    """Gets the archive and writes five shards a split.

    Args:
      dataset_dir: made if it is not there.
      source_dir: a folder with the archive; without it, it is downloaded.
      on_bad_image: "error" or "skip"; see `conversion.run`.
      max_pixels: the most pixels of a picture.

    Raises:
      UserError: if a directory cannot be used, `source_dir` lacks the archive, or pictures are bad
        and that is an error.
      RunError: if the archive cannot be had or is damaged, or a file cannot be written.
    """
    with conversion.work_directory(dataset_dir) as work:
        paths = conversion.fetch("flowers", [FILE], dataset_dir, source_dir)
        extracted = conversion.fresh_folder(work, "uncompressed")
        archives.extract(paths[FILE.name], extracted, _LIMITS)
        photos = os.path.join(extracted, _FOLDER)
        classes = folder.class_folders(photos) if os.path.isdir(photos) else []
        items = [
            item
            for label, name in enumerate(classes)
            for item in folder.find_class(os.path.join(photos, name), label, photos)
        ]
        if len(items) <= NUM_VALIDATION:
            raise _checks.RunError(
                f"Archive {paths[FILE.name]} has {len(items)} photographs in {_FOLDER}/<class>/;"
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
            upright=False,  # as in the original
            source=FILE.urls[0],
            attribution="The TensorFlow Team (2019), Flowers; photographs under Creative Commons"
            " licences, by the authors that LICENSE.txt of the archive names",
        )
        return conversion.run(
            plan, dataset_dir, work, on_bad_image=on_bad_image, max_pixels=max_pixels
        )


def shuffle(items: list[conversion.Item]) -> list[conversion.Item]:
    """Returns the items as `random.shuffle` of the Python that the original was written in orders
    them for its seed, 0."""
    rng = random.Random(_SEED)
    order = list(items)
    for last in range(len(order) - 1, 0, -1):
        chosen = int(rng.random() * (last + 1))
        order[last], order[chosen] = order[chosen], order[last]
    return order
