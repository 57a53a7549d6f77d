"""Your own pictures: SRC/<class>/<image>, or SRC/{train,validation,test}/<class>/<image>.

A class is a folder; its label is its place among the sorted names (by code point, so "Cat" comes
before "ant" and "10" before "2"). Folders inside a class belong to it. Names that start with a dot
are left alone.
"""

import math
import os
from collections.abc import Sequence

from datasets import (
    conversion,
    dataset_factory,
    dataset_info,
    folder_files,
    image_dataset,
    images,
    sources,
)
from datasets import splits as splits_lib
from slim import _checks
from slim.data import dataset

SPLIT_FOLDERS = {"train": "train", "validation": "validation", "val": "validation", "test": "test"}
# What others call such folders, in small letters.
_LIKE_SPLITS = {*SPLIT_FOLDERS, "training", "valid", "testing"}
_SHARD_BYTES = 64_000_000
_IMAGE_ENDINGS = (".jpg", ".jpeg", ".png", ".gif", ".bmp", ".webp")


def get_split(
    split_name: str, dataset_dir: str, file_pattern: str | None = None
) -> dataset.Dataset:
    """Returns a split, "train" or another that `convert` has made.

    Args:
      split_name: the split.
      dataset_dir: where `convert` wrote.
      file_pattern: other file names; `%s` stands for the split.

    Raises:
      UserError: if the split or the directory is not there, or a shard is missing or damaged.
    """
    facts = dataset_factory.get_facts("folder", split_name, dataset_dir, file_pattern)
    return image_dataset.from_facts(facts, num_channels=3)


def convert(
    dataset_dir: str,
    *,
    source_dir: str | None = None,
    validation_fraction: float | None = None,
    split_seed: int = 0,
    on_bad_image: str = "error",
    max_pixels: int = images.MAX_PIXELS,
) -> dataset_info.DatasetInfo:
    """Makes a dataset of the pictures in a folder.

    Args:
      dataset_dir: made if it is not there.
      source_dir: the folder with the classes, or with the splits.
      validation_fraction: share of each class that is held out, 0 to below 1; default: 0.1. Not for
        a folder that has splits.
      split_seed: decides which pictures are held out, and the order of the records.
      on_bad_image: "error" or "skip"; see `conversion.run`.
      max_pixels: the most pixels of a picture.

    Raises:
      UserError: if the folder is not laid out so, a class or split has no picture, or pictures are
        bad and that is an error.
      RunError: if a file cannot be written.
    """
    if source_dir is None:
        raise _checks.UserError("dataset_name='folder' needs source_dir: SRC/<class>/<image>")
    found = _find_splits(source_dir)
    if found is None:
        fraction = 0.1 if validation_fraction is None else validation_fraction
        classes, items = _find_classes(source_dir, source_dir)
        parts = _hold_out(items, fraction, split_seed)
        chosen = {"validation_fraction": fraction}
    else:
        if validation_fraction is not None:
            raise _checks.UserError(
                f"validation_fraction has no use: {source_dir!r} has the splits {', '.join(found)};"
                f" to hold out pictures of train alone, convert"
                f" source_dir={os.path.join(source_dir, 'train')!r}"
            )
        classes, parts = _read_splits(found, source_dir)
        chosen = {}
    _check_names(classes)
    source = os.path.abspath(source_dir)
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
            options={"source_dir": source, "split_seed": split_seed, **chosen},
        )
        return conversion.run(
            plan, dataset_dir, work, on_bad_image=on_bad_image, max_pixels=max_pixels
        )


def find_class(folder: str, label: int, base: str) -> list[conversion.Item]:
    """Returns the files of a class, also those in folders below, as items of that label.

    Args:
      folder: of the class.
      label: the class.
      base: the records' file names are relative to it.
    """
    return [
        conversion.Item(sources.FileSource(path), label, _text(os.path.relpath(path, base)))
        for path in folder_files.find(folder)
    ]


def class_folders(folder: str) -> list[str]:
    """Returns the names of the folders in a folder, sorted."""
    return sorted(
        entry.name
        for entry in os.scandir(folder)
        if os.path.isdir(entry.path) and not entry.name.startswith(".")
    )


def _find_classes(folder: str, base: str) -> tuple[list[str], list[conversion.Item]]:
    classes = class_folders(folder)
    loose = _loose_images(folder)
    if not classes:
        raise _checks.UserError(
            f"No class folders in {folder} (found 0 sub-folders, {len(loose)} images)."
            " Expected SRC/<class>/<image>"
        )
    if loose:
        raise _checks.UserError(
            f"{folder} has {len(loose)} images outside the class folders, such as {loose[0]!r}:"
            " put them into the folder of their class"
        )
    items = [
        item
        for label, name in enumerate(classes)
        for item in find_class(os.path.join(folder, name), label, base)
    ]
    return classes, items


def _find_splits(source_dir: str) -> dict[str, str] | None:
    """Returns split -> folder, or None if the sub-folders are classes.

    Raises:
      UserError: if there is a folder "train" of classes beside folders that are no splits, if
        folders called like splits hold nothing but folders, or if there is no folder at all.
    """
    if not os.path.isdir(source_dir):
        raise _checks.UserError(f"source_dir={source_dir!r} is not a folder")
    names = class_folders(source_dir)
    # A class may be called so too, but has pictures of its own.
    of_classes = [
        name
        for name in names
        if class_folders(os.path.join(source_dir, name))
        and not _loose_images(os.path.join(source_dir, name))
    ]
    like_splits = [name for name in of_classes if name.lower() in _LIKE_SPLITS]
    if not like_splits:
        return None
    if "train" not in names or not class_folders(os.path.join(source_dir, "train")):
        raise _checks.UserError(
            f"{source_dir} has {_checks.listed(like_splits)}, which hold folders and no images:"
            " splits are called train, validation (or val) and test, and train has to be among them"
        )
    others = [name for name in names if name not in SPLIT_FOLDERS]
    if others or {"val", "validation"} <= set(names):
        raise _checks.UserError(
            f"{source_dir} has the split 'train' beside {_checks.listed(names, most=10)}; splits"
            " are called train, validation (or val) and test"
        )
    by_split = {SPLIT_FOLDERS[name]: os.path.join(source_dir, name) for name in names}
    return {name: by_split[name] for name in ("train", "validation", "test") if name in by_split}


def _read_splits(
    folders: dict[str, str], base: str
) -> tuple[list[str], dict[str, list[conversion.Item]]]:
    found = {name: _find_classes(folder, base) for name, folder in folders.items()}
    classes = found["train"][0]
    for name, (theirs, _) in found.items():
        extra = [each for each in theirs if each not in classes]
        if extra:
            raise _checks.UserError(
                f"Split {name!r} has classes that 'train' has not: {_checks.listed(extra)}"
                f"{_checks.suggest(extra[0], classes)}"
            )
    parts = {
        name: [item._replace(label=classes.index(theirs[item.label])) for item in items]
        for name, (theirs, items) in found.items()
    }
    return classes, parts


def _hold_out(
    items: Sequence[conversion.Item], fraction: float, seed: int
) -> dict[str, list[conversion.Item]]:
    _checks.in_range(0, 1, validation_fraction=fraction)
    count = round(fraction * len(items)) or int(fraction > 0)
    if count >= len(items):
        raise _checks.UserError(
            f"validation_fraction={fraction} of {len(items)} images leaves none for training"
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


def _loose_images(folder: str) -> list[str]:
    return sorted(
        entry.name
        for entry in os.scandir(folder)
        if entry.name.lower().endswith(_IMAGE_ENDINGS)
        and not entry.name.startswith(".")
        and not os.path.isdir(entry.path)
    )


def _check_names(classes: Sequence[str]) -> None:
    for name in classes:
        if not name.isprintable():
            raise _checks.UserError(
                f"Class folder {name!r} has a character that no label may have: rename it"
            )


def _exists(item: conversion.Item) -> bool:
    return os.path.exists(item.source.path)


def _text(name: str) -> str:
    """Returns a file name as UTF-8 can hold it; a byte that is none becomes an escape."""
    return name.encode("utf-8", "backslashreplace").decode()
