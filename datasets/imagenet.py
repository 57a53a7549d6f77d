"""ImageNet (ILSVRC2012): 1,281,167 photographs for training and 50,000 for validation, in 1,000
classes, and boxes around some of the objects.

O. Russakovsky et al. (2015), ImageNet Large Scale Visual Recognition Challenge. Label 0 is the
background, which no image has; the classes follow in the order of their WordNet ids.
"""

import functools
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from datasets import (
    conversion,
    dataset_factory,
    dataset_info,
    imagenet_files,
    imagenet_sources,
    images,
    tfrecords,
)
from datasets.imagenet_classes import create_readable_names_for_imagenet_labels
from datasets.items import shuffled
from slim import _checks, _files, _ownership
from slim._problems import Problem, named

__all__ = [
    "build",
    "convert",
    "create_readable_names_for_imagenet_labels",
    "get_split",
]

NUM_SHARDS = {"train": 1024, "validation": 128}
_SEED = 12345

get_split = functools.partial(dataset_factory.get_dataset, "imagenet")


def convert(
    dataset_dir: str,
    *,
    source_dir: str | None = None,
    on_bad_image: str = "error",
    max_pixels: int = images.MAX_PIXELS,
) -> dataset_info.DatasetInfo:
    """Writes 1024 training and 128 validation shards from files of image-net.org.

    Args:
      dataset_dir: output directory; created if it does not exist.
      source_dir: directory with the archives or the class directories; see `imagenet_sources`.
        Class names and boxes are read from further files in it.
      on_bad_image: "error" or "skip"; see `conversion.run`.
      max_pixels: maximum number of pixels in an image.

    Raises:
      UserError: if `source_dir` lacks a required file, or images are bad and `on_bad_image` is
        "error".
      RunError: if an archive is damaged or a file cannot be written.
    """
    if source_dir is None:
        raise _checks.UserError(
            Problem(
                "{} needs {}: ImageNet can only be downloaded with an account at"
                " https://image-net.org",
                named("dataset_name", repr("imagenet")),
                named("source_dir"),
            )
        )
    images_by_split = imagenet_sources.find_images(source_dir)
    _check_splits(images_by_split)
    names, splits = _read_splits(images_by_split, source_dir)
    paths = sorted({image.source.path for part in images_by_split.values() for image in part})
    with conversion.work_directory(dataset_dir, source_dir) as work:
        return conversion.run(
            _plan(_distinct(names), splits, paths),
            dataset_dir,
            work,
            on_bad_image=on_bad_image,
            max_pixels=max_pixels,
        )


def build(
    dataset_dir: str,
    *,
    train_directory: str,
    validation_directory: str,
    labels_file: str,
    imagenet_metadata_file: str,
    bounding_box_file: str,
    train_shards: int = NUM_SHARDS["train"],
    validation_shards: int = NUM_SHARDS["validation"],
    num_threads: int | None = None,
    on_bad_image: str = "error",
    max_pixels: int = images.MAX_PIXELS,
) -> dataset_info.DatasetInfo:
    """Writes the dataset from directories of classes and the files of TF-Slim's scripts.

    Args:
      dataset_dir: output directory; created if it does not exist.
      train_directory: directory with <id>/*.JPEG.
      validation_directory: directory with <id>/*.JPEG.
      labels_file: ids of the classes, one per line; the number of the line is the label.
      imagenet_metadata_file: id and name of each class, one per line.
      bounding_box_file: CSV file with image, xmin, ymin, xmax, ymax.
      train_shards: maximum number of training shards.
      validation_shards: maximum number of validation shards.
      num_threads: number of processes that prepare images; default: chosen automatically.
      on_bad_image: as in `convert`.
      max_pixels: as in `convert`.

    Raises:
      UserError: if a directory or file cannot be used, a class has no name, or images are bad and
        `on_bad_image` is "error".
      RunError: if a file cannot be written.
    """
    directories = {"train": train_directory, "validation": validation_directory}
    for directory in directories.values():
        _ownership.check_apart(dataset_dir=dataset_dir, source_dir=directory)
    synsets = [line.strip() for _, line in _files.read_text_lines(labels_file)]
    known = dict(imagenet_files.names_in(imagenet_metadata_file))
    unnamed = [synset for synset in synsets if synset not in known]
    if unnamed:
        shown = _checks.listed(unnamed, most=5)
        raise _checks.UserError(f"{imagenet_metadata_file} lacks classes of {labels_file}: {shown}")
    sources = {
        split: imagenet_sources.in_class_directories(directory, synsets)
        for split, directory in directories.items()
    }
    every = [image for part in sources.values() for image in part]
    stems = {image.filename.removesuffix(".JPEG") for image in every}
    boxes = imagenet_files.boxes_in(bounding_box_file, stems)
    names = {synset: known[synset] for synset in synsets}
    shards = {"train": train_shards, "validation": validation_shards}
    splits = {
        split: _split(split, part, names, boxes, shards[split]) for split, part in sources.items()
    }
    with conversion.work_directory(dataset_dir) as work:
        return conversion.run(
            _plan(_distinct(names), splits, [image.source.path for image in every]),
            dataset_dir,
            work,
            on_bad_image=on_bad_image,
            max_pixels=max_pixels,
            num_workers=num_threads,
        )


def _plan(
    names: Sequence[str], splits: Mapping[str, conversion.Split], paths: Sequence[str]
) -> conversion.Plan:
    return conversion.Plan(
        name="imagenet",
        classes=["background", *names],
        num_channels=3,
        splits=splits,
        inputs=conversion.inputs_of(paths),
        formats={"jpeg": "JPEG"},
        source="https://image-net.org",
        attribution="ImageNet (ILSVRC2012): O. Russakovsky et al. (2015); for non-commercial"
        " research and education, under the terms of access of image-net.org",
        background=True,
        upright=False,
        jpeg_only=True,
        features=features,
    )


def _read_splits(
    images_by_split: Mapping[str, Sequence[imagenet_sources.Image]], source_dir: str
) -> tuple[dict[str, str], dict[str, conversion.Split]]:
    """Returns synset -> class name, and the splits, with class names and boxes in their items."""
    synsets = {
        image.filename.removesuffix(".JPEG"): image.synset
        for part in images_by_split.values()
        for image in part
    }
    names = imagenet_sources.read_names(
        source_dir, {image.synset for part in images_by_split.values() for image in part}
    )
    boxes = imagenet_sources.read_boxes(source_dir, synsets)
    splits = {
        split: _split(split, part, names, boxes, NUM_SHARDS[split])
        for split, part in images_by_split.items()
    }
    return names, splits


def _split(
    split: str,
    part: Sequence[imagenet_sources.Image],
    names: Mapping[str, str],
    boxes: Mapping[str, Sequence[imagenet_files.Box]],
    num_shards: int,
) -> conversion.Split:
    """Returns a split with labels, class names and boxes; labels follow the order of `names`."""
    labels = {synset: label for label, synset in enumerate(names, 1)}
    items = [
        conversion.Item(
            source,
            labels[synset],
            filename,
            extra=(
                labels[synset],
                synset,
                names[synset],
                boxes.get(filename.removesuffix(".JPEG"), ()),
            ),
        )
        for source, synset, filename in part
    ]
    return conversion.Split(
        items=shuffled(items, _SEED),
        shard_name=f"{split}-{{shard:05d}}-of-{{count:05d}}",
        num_shards=num_shards,
    )


def features(
    label: int, synset: str, text: str, boxes: Sequence[imagenet_files.Box]
) -> dict[str, tfrecords.Value]:
    """Returns the further features of a record, as TF-Slim's converter writes them."""
    return {
        "image/colorspace": "RGB",
        "image/channels": 3,
        "image/class/synset": synset,
        "image/class/text": text,
        **tfrecords.box_features(boxes),
        "image/object/bbox/label": np.full(len(boxes), label, np.int64),
    }


def _check_splits(images_by_split: Mapping[str, Sequence[imagenet_sources.Image]]) -> None:
    classes = {name: {image.synset for image in part} for name, part in images_by_split.items()}
    for split, synsets in classes.items():
        extra = sorted(synsets - classes.get("train", synsets))
        if extra:
            raise _checks.UserError(
                f"Split {split!r} has classes that 'train' lacks: {_checks.listed(extra, most=5)}"
            )


def _distinct(names: Mapping[str, str]) -> list[str]:
    """Returns the names in order; names of several classes, such as "crane", get their synset."""
    counts = Counter(names.values())
    return [name if counts[name] == 1 else f"{name} ({synset})" for synset, name in names.items()]
