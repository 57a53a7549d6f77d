"""Your own images: SRC/<class>/<image>, or SRC/{train,validation,test}/<class>/<image>.

Each class is a directory; its label is its position among the sorted names (by code point, so "Cat"
comes before "ant" and "10" before "2"). Subdirectories of a class belong to it. Names that start
with a dot are ignored.

With several labels an image, a file that is linked (or hard-linked) from several class directories
is one image with the label of each.
"""

import functools
import math
import os
from collections.abc import Sequence
from typing import Any

from datasets import (
    conversion,
    dataset_factory,
    dataset_info,
    folder_files,
    images,
    sources,
    tfrecords,
)
from datasets import splits as splits_lib
from slim import _checks
from slim._problems import Problem, named

SPLIT_DIRECTORIES = {
    "train": "train",
    "validation": "validation",
    "val": "validation",
    "test": "test",
}
# Other common names of split directories, in lower case.
_LIKE_SPLITS = {*SPLIT_DIRECTORIES, "training", "valid", "testing"}
_SHARD_BYTES = 64_000_000
_IMAGE_ENDINGS = (".jpg", ".jpeg", ".png", ".gif", ".bmp", ".webp")

get_split = functools.partial(dataset_factory.get_dataset, "folder")


def convert(
    dataset_dir: str,
    *,
    source_dir: str | None = None,
    validation_fraction: float | None = None,
    split_seed: int = 0,
    multi_label: bool = False,
    on_bad_image: str = "error",
    max_pixels: int = images.MAX_PIXELS,
) -> dataset_info.DatasetInfo:
    """Converts a directory of images.

    Args:
      dataset_dir: output directory; created if it does not exist.
      source_dir: directory with one subdirectory per class, or per split.
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
    directories = _find_splits(source_dir)
    source = os.path.abspath(source_dir)
    options: dict[str, Any] = {"source_dir": source, "split_seed": split_seed}
    if multi_label:
        options["multi_label"] = True
    if directories is None:
        fraction = 0.1 if validation_fraction is None else validation_fraction
        options["validation_fraction"] = fraction
        classes, items = _find_classes(source_dir, source_dir)
        items = merged(items) if multi_label else items
        parts = _hold_out(items, fraction, split_seed)
    else:
        _check_no_fraction(validation_fraction, directories, source_dir)
        classes, parts = _read_splits(directories, source_dir)
        parts = {name: merged(part) if multi_label else part for name, part in parts.items()}
    _check_names(classes)
    with conversion.work_directory(dataset_dir, source_dir) as work:
        plan = conversion.Plan(
            name="folder",
            classes=classes,
            num_channels=3,
            splits={
                name: _split(name, conversion.shuffled(part, split_seed))
                for name, part in parts.items()
            },
            inputs=conversion.inputs_of(
                item.source.path for part in parts.values() for item in part
            ),
            source=source,
            source_files=folder_files.summary(source_dir),
            options=options,
            multi_label=multi_label,
        )
        return conversion.run(
            plan, dataset_dir, work, on_bad_image=on_bad_image, max_pixels=max_pixels
        )


def read_classes(directory: str, base: str) -> tuple[list[str], list[conversion.Item]]:
    """Returns the sorted names of the class directories, and the files in them as labeled items.

    Args:
      directory: contains one directory per class, each with files and further subdirectories.
      base: the records' file names are relative to this directory.
    """
    classes = _subdirectories(directory)
    items = [
        conversion.Item(sources.FileSource(path), label, _text(os.path.relpath(path, base)))
        for label, name in enumerate(classes)
        for path in folder_files.find(os.path.join(directory, name))
    ]
    return classes, items


def merged(items: Sequence[conversion.Item]) -> list[conversion.Item]:
    """Returns an item per file, the first one, with the sorted labels of all its links."""
    labels: dict[object, set[int]] = {}
    first: dict[object, conversion.Item] = {}
    for item in items:
        key = _file_id(item.source.path)
        labels.setdefault(key, set()).update(tfrecords.labels_of(item.label))
        first.setdefault(key, item)
    return [item._replace(label=tuple(sorted(labels[key]))) for key, item in first.items()]


def _file_id(path: str) -> object:
    try:
        status = os.stat(path)
    except OSError:  # such as a broken link, which is reported as a bad file
        return path
    return status.st_dev, status.st_ino


def _subdirectories(directory: str) -> list[str]:
    return sorted(
        entry.name
        for entry in os.scandir(directory)
        if os.path.isdir(entry.path) and not entry.name.startswith(".")
    )


def _check_no_fraction(
    fraction: float | None, directories: dict[str, str], source_dir: str
) -> None:
    if fraction is not None:
        raise _checks.UserError(
            Problem(
                "{} has no effect: {!r} has the splits {}. To hold out training images, convert {}"
                " alone",
                named("validation_fraction"),
                source_dir,
                ", ".join(directories),
                named("source_dir", repr(os.path.join(source_dir, "train"))),
            )
        )


def _find_classes(directory: str, base: str) -> tuple[list[str], list[conversion.Item]]:
    """Returns what `read_classes` does; raises UserError if the layout is another."""
    loose_images = _loose_images(directory)
    if not _subdirectories(directory):
        raise _checks.UserError(
            f"No class directories in {directory} (0 subdirectories, {len(loose_images)} images)."
            " Expected: SRC/<class>/<image>"
        )
    if loose_images:
        raise _checks.UserError(
            f"{directory} has {len(loose_images)} images outside the class directories, such as"
            f" {loose_images[0]!r}. Move each into the directory of its class"
        )
    return read_classes(directory, base)


def _find_splits(source_dir: str) -> dict[str, str] | None:
    """Returns split -> directory, or None if the subdirectories are classes.

    Raises:
      UserError: if `source_dir` is not a directory, if its split directories have other names, or
        if it has other directories next to them.
    """
    if not os.path.isdir(source_dir):
        raise _checks.UserError(
            Problem("{} is not a directory", named("source_dir", repr(source_dir)))
        )
    names = _subdirectories(source_dir)
    # A class may have the name of a split, but then it has images of its own.
    parents_of_classes = [
        name
        for name in names
        if _subdirectories(os.path.join(source_dir, name))
        and not _loose_images(os.path.join(source_dir, name))
    ]
    like_splits = [name for name in parents_of_classes if name.lower() in _LIKE_SPLITS]
    if not like_splits:
        return None
    if "train" not in names or not _subdirectories(os.path.join(source_dir, "train")):
        raise _checks.UserError(
            f"{source_dir} has {_checks.listed(like_splits)}, which contain directories and no"
            " images. Splits must be called train (required), validation (or val) and test"
        )
    others = [name for name in names if name not in SPLIT_DIRECTORIES]
    if others or {"val", "validation"} <= set(names):
        raise _checks.UserError(
            f"{source_dir} has the split 'train' among {_checks.listed(names, most=10)}. Splits"
            " must be called train, validation (or val) and test, without other directories"
        )
    by_split = {SPLIT_DIRECTORIES[name]: os.path.join(source_dir, name) for name in names}
    return {name: by_split[name] for name in ("train", "validation", "test") if name in by_split}


def _read_splits(
    directories: dict[str, str], base: str
) -> tuple[list[str], dict[str, list[conversion.Item]]]:
    by_split = {name: _find_classes(path, base) for name, path in directories.items()}
    train_classes = by_split["train"][0]
    parts = {}
    for split, (classes, items) in by_split.items():
        extra = [name for name in classes if name not in train_classes]
        if extra:
            raise _checks.UserError(
                f"Split {split!r} has classes that 'train' lacks: {_checks.listed(extra)}"
                f"{_checks.suggest(extra[0], train_classes)}"
            )
        labels = [train_classes.index(name) for name in classes]
        parts[split] = [item._replace(label=labels[item.label]) for item in items]
    return train_classes, parts


def _hold_out(
    items: Sequence[conversion.Item], fraction: float, seed: int
) -> dict[str, list[conversion.Item]]:
    _checks.in_range(0, 1, validation_fraction=fraction)
    count = round(fraction * len(items)) or int(fraction > 0)
    if count >= len(items):
        raise _checks.UserError(
            Problem(
                "{} of {} images leaves none for training. Use a smaller fraction, or add images",
                named("validation_fraction", fraction),
                len(items),
            )
        )
    kept, held_out = splits_lib.stratified_split([item.label for item in items], count, seed)
    parts = {"train": [items[index] for index in kept]}
    if held_out:
        parts["validation"] = [items[index] for index in held_out]
    return parts


def _split(name: str, items: list[conversion.Item]) -> conversion.Split:
    total = sum(os.path.getsize(item.source.path) for item in items if _exists(item))
    return conversion.Split(
        items=items,
        shard_name=f"folder_{name}-{{shard:05d}}-of-{{count:05d}}.tfrecord",
        num_shards=math.ceil(total / _SHARD_BYTES),
    )


def _loose_images(directory: str) -> list[str]:
    return sorted(
        entry.name
        for entry in os.scandir(directory)
        if entry.name.lower().endswith(_IMAGE_ENDINGS)
        and not entry.name.startswith(".")
        and not os.path.isdir(entry.path)
    )


def _check_names(classes: Sequence[str]) -> None:
    for name in classes:
        if not name.isprintable():
            raise _checks.UserError(
                f"The name of class directory {name!r} has a control character. Rename it"
            )


def _exists(item: conversion.Item) -> bool:
    return os.path.exists(item.source.path)


def _text(name: str) -> str:
    """Returns a file name as valid UTF-8; other bytes become escapes."""
    return name.encode("utf-8", "backslashreplace").decode()
