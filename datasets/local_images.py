"""Images on disk: directories, archives and lists, divided into splits and shards. No TensorFlow.

Training reads them in place; the conversion of `folder` and `list` writes them to TFRecords. Both
have the same splits, order and shards.
"""

import dataclasses
import functools
import hashlib
import math
import os
from collections.abc import Mapping, Sequence

from datasets import folder_layout, image_list, image_tree, label_names, splits
from datasets.items import Item, Split, labels_of, merged, shuffled
from datasets.location import Location
from slim import _checks, _files
from slim._decodings import UPRIGHT
from slim._problems import Problem, named

SHARD_BYTES = 64_000_000
DEFAULT_FRACTION = 0.1


@dataclasses.dataclass(frozen=True, eq=False)
class LocalImages:
    """Images on disk.

    Attributes:
      classes: class names; the position is the label.
      splits: split name -> its images in the order of the records.
      is_divided: whether the validation split is a fraction of the images.
      root: the content of the directory or archive; None for a list.
    """

    classes: tuple[str, ...]
    splits: Mapping[str, Split]
    is_divided: bool
    root: image_tree.Directory | None = None


def read(location: Location) -> LocalImages:
    """Returns the images of a directory, archive or list.

    Results are kept in this process until a file is added to or removed from the directory or one
    of its directories, or the archive or list changes.

    Args:
      location: of the dataset `folder` or `list`.

    Raises:
      UserError: if it does not exist or has another form, or an option does not apply to it.
      RunError: if it is a damaged archive.
    """
    path = source_path(location)
    if location.name == "list" and location.directory and not os.path.exists(location.directory):
        raise _missing("dataset_dir", location.directory)
    if not os.path.exists(path):
        raise _missing("dataset_file" if location.name == "list" else "dataset_dir", path)
    files = [path, location.labels_file, location.name == "list" and location.directory]
    versions = tuple(image_tree.version(file) for file in files if file and os.path.exists(file))
    return _read(location, versions)


def source_path(location: Location) -> str:
    """Returns the path of the directory, archive or list.

    Raises:
      UserError: if the location has none.
    """
    path = location.file if location.name == "list" else location.directory
    if path is None:
        missing = "dataset_file" if location.name == "list" else "dataset_dir"
        raise _checks.UserError(
            Problem("{} needs {}", named("dataset_name", location.name), named(missing))
        )
    return path


@functools.lru_cache(maxsize=4)
def _read(location: Location, _versions: tuple[object, ...]) -> LocalImages:
    path, names, root = source_path(location), None, None
    if location.labels_file is not None:
        by_label = label_names.read(location.labels_file, unique=True)
        names = [by_label[label] for label in sorted(by_label)]
    if location.name == "list":
        classes, parts = image_list.read(path, location.directory, names, location.multi_label)
    else:
        root = image_tree.read(path)
        classes, parts = folder_layout.read(root, path, names)
        if location.multi_label:
            ids = {file.source: file.id for _, file in root.walk() if file.id is not None}
            parts = {name: merged(part, ids) for name, part in parts.items()}
    divided = _divided(parts, location, path)
    return LocalImages(
        tuple(classes),
        {
            name: _sharded(location.name, name, shuffled(part, location.split_seed))
            for name, part in divided.items()
        },
        is_divided=folder_layout.UNDIVIDED in parts,
        root=root,
    )


def summary(location: Location) -> dict[str, int | str]:
    """Returns the number of images, and a checksum of the list, or of the files' paths and sizes.

    Raises:
      UserError, RunError: as `read`.
    """
    images, path = read(location), source_path(location)
    if images.root is not None:
        return image_tree.summary(images.root)
    with _files.open_regular(path) as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {"count": sum(len(split.items) for split in images.splits.values()), "sha256": digest}


def _divided(
    parts: Mapping[str, list[Item]], location: Location, path: str
) -> Mapping[str, list[Item]]:
    """Returns the splits, with images held out if there are none but for training."""
    fraction, seed = location.validation_fraction, location.split_seed
    if location.folds is not None:
        return _with_fold(parts, location.folds, location.fold, seed, path)
    if folder_layout.UNDIVIDED in parts:
        fraction = DEFAULT_FRACTION if fraction is None else fraction
        return _hold_out(parts[folder_layout.UNDIVIDED], fraction, seed, path)
    if fraction is not None:
        raise _checks.UserError(
            Problem(
                "{} has no effect: {!r} has the splits {}. To hold out training images, use only"
                " those",
                named("validation_fraction"),
                path,
                ", ".join(parts),
            )
        )
    return parts


def _hold_out(
    items: Sequence[Item], fraction: float, seed: int, path: str
) -> dict[str, list[Item]]:
    """Returns the splits train and, unless the fraction is 0, validation.

    Raises:
      UserError: if the fraction is out of range, or leaves no image for training.
    """
    _checks.in_range(0, 1, validation_fraction=fraction)
    count = round(fraction * len(items)) or int(fraction > 0)
    if count >= len(items):
        raise _checks.UserError(
            Problem(
                "{} of {} images leaves none for training. Use a smaller fraction, or add images to"
                " {!r}",
                named("validation_fraction", fraction),
                len(items),
                path,
            )
        )
    kept, held_out = splits.stratified_split([item.label for item in items], count, seed)
    parts = {"train": [items[index] for index in kept]}
    if held_out:
        parts["validation"] = [items[index] for index in held_out]
    return parts


def _with_fold(
    parts: Mapping[str, list[Item]], folds: int, fold: int, seed: int, path: str
) -> dict[str, list[Item]]:
    if "validation" in parts:
        raise _checks.UserError(
            Problem("{} has no effect: {!r} has the split validation", named("folds", folds), path)
        )
    train = "train" if "train" in parts else folder_layout.UNDIVIDED
    items = parts[train]
    if folds > len(items):
        raise _checks.UserError(
            Problem("{} exceeds the {} images in {!r}", named("folds", folds), len(items), path)
        )
    kept, held_out = splits.stratified_fold([item.label for item in items], folds, fold, seed)
    others = {name: part for name, part in parts.items() if name != train}
    return {
        "train": [items[index] for index in kept],
        "validation": [items[index] for index in held_out],
        **others,
    }


def _sharded(dataset_name: str, split_name: str, items: list[Item]) -> Split:
    return Split(
        items=items,
        shard_name=f"{dataset_name}_{split_name}-{{shard:05d}}-of-{{count:05d}}.tfrecord",
        num_shards=math.ceil(sum(item.size for item in items) / SHARD_BYTES),
    )


def metadata(location: Location, split_name: str) -> splits.SplitMetadata:
    """Returns the metadata of a split that is read in place.

    Raises:
      UserError: as `read`, or if there is no such split, or it has no images.
    """
    images = read(location)
    path = source_path(location)
    if split_name not in images.splits:
        raise _checks.UserError(
            f"Split {split_name!r} not in {path}; found: {_checks.listed(images.splits)}"
            f"{_checks.suggest(split_name, images.splits)}"
        )
    split = images.splits[split_name]
    if not split.items:
        raise _checks.UserError(f"Split {split_name!r} has no images in {path}")
    parts = list(split.parts())
    per_class = [0] * len(images.classes)
    for item in split.items:
        for label in labels_of(item.label):
            per_class[label] += 1
    return splits.SplitMetadata(
        name=location.name,
        split_name=split_name,
        data_sources=(path,) * len(parts),
        shard_counts=tuple(map(len, parts)),
        num_samples=len(split.items),
        num_classes=len(images.classes),
        labels_to_names=dict(enumerate(images.classes)),
        per_class=tuple(per_class),
        decoding=UPRIGHT,
        multi_label=location.multi_label,
        shard_bytes=tuple(sum(item.size for item in part) for part in parts),
        items=split.items,
    )


def _missing(option: str, path: str) -> _checks.UserError:
    return _checks.UserError(Problem("{} does not exist", named(option, repr(path))))
