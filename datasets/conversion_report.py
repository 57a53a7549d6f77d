"""The lines that are printed after a conversion. No TensorFlow here."""

import os
from collections.abc import Iterator

from datasets import dataset_info
from slim import _checks

_LISTED_CLASSES = 20  # further classes are not listed
_IMBALANCE = 10  # ratio of the largest to the smallest class, above which a warning is printed


def summary(info: dataset_info.DatasetInfo) -> str:
    """Returns the numbers of images and classes, in one line."""
    splits = ", ".join(f"{split.num_samples} {name}" for name, split in info.splits.items())
    return f"{splits} images of {len(info.classes)} classes"


def lines(info: dataset_info.DatasetInfo, dataset_dir: str) -> Iterator[str]:
    """Yields the lines about a dataset that has just been converted.

    Args:
      info: the dataset.
      dataset_dir: its directory.
    """
    yield f"Wrote {info.name} to {dataset_dir}: {summary(info)}"
    for name, split in info.splits.items():
        size = sum(shard.bytes for shard in split.shards)
        files = [shard.file for shard in split.shards]
        shown = ", ".join(files if len(files) < 4 else [files[0], "...", files[-1]])
        yield f"  {name}: {split.num_samples} images, {size / 1e6:.1f} MB in {shown}"
    yield f"  {dataset_info.LABELS_FILE_NAME}, {dataset_info.FILE_NAME}"
    yield from _table(info)
    yield from _imbalance(info)
    yield from _missing_classes(info)
    yield from _single_class(info)
    yield from (f"  warning: {line}" for line in info.warnings)
    if info.num_bad_files:
        listed = os.path.join(dataset_dir, dataset_info.BAD_FILES_NAME)
        yield f"  {info.num_bad_files} bad files skipped, listed in {listed}"
    yield from _empty_classes(info)
    for name in info.options.get("unlabelled_splits", ()):
        yield f"  split {name} has no labels and was skipped"
    if os.path.isdir(os.path.join(dataset_dir, "samples")):
        yield f"  sample images: {os.path.join(dataset_dir, 'samples')}"
    if info.attribution:
        yield f"  {info.attribution}"


def _table(info: dataset_info.DatasetInfo) -> Iterator[str]:
    """Yields a table of the number of images in each class and split."""
    splits = list(info.splits.values())
    rows = [
        (f"{label} {name}", *(str(split.per_class[label]) for split in splits))
        for label, name in info.labels_to_names.items()
    ]
    if len(rows) > _LISTED_CLASSES:
        num_hidden = len(rows) - _LISTED_CLASSES + 1
        text = f"... {num_hidden} more in {dataset_info.FILE_NAME}"
        rows[_LISTED_CLASSES - 1 :] = [(text, *("" for _ in splits))]
    rows = [("class", *info.splits), *rows]
    rows.append(("total", *(str(split.num_samples) for split in splits)))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for name, *counts in rows:
        cells = [count.rjust(width) for count, width in zip(counts, widths[1:], strict=True)]
        yield "    " + "  ".join([name.ljust(widths[0]), *cells]).rstrip()


def _imbalance(info: dataset_info.DatasetInfo) -> Iterator[str]:
    """Yields a warning for each split with a class much larger than another."""
    for name, split in info.splits.items():
        present = [(count, label) for label, count in enumerate(split.per_class) if count]
        if not present:  # several labels an image, and none has any
            continue
        (smallest, rare), (largest, frequent) = min(present), max(present)
        if largest > _IMBALANCE * smallest:
            yield (
                f"  warning: {name} is unbalanced: {info.classes[frequent]!r} has {largest} images,"
                f" {info.classes[rare]!r} has {smallest}"
            )


def _single_class(info: dataset_info.DatasetInfo) -> Iterator[str]:
    """Yields a warning if all images have the same class."""
    counts = [sum(each) for each in zip(*(s.per_class for s in info.splits.values()), strict=True)]
    present = [label for label, count in enumerate(counts) if count]
    if len(present) == 1 and not info.multi_label:
        yield (
            f"  warning: all images are of the class {info.classes[present[0]]!r}; training needs"
            " two classes or more"
        )


def _empty_classes(info: dataset_info.DatasetInfo) -> Iterator[str]:
    empty = [
        f"{label} ({name})"
        for label, name in info.labels_to_names.items()
        if not any(split.per_class[label] for split in info.splits.values())
    ]
    if empty:
        yield (
            f"  {len(empty)} of {len(info.classes)} classes have no images:"
            f" {_checks.listed(empty, most=5)}"
        )


def _missing_classes(info: dataset_info.DatasetInfo) -> Iterator[str]:
    """Yields a warning for each split that lacks classes of another split."""
    counts = [split.per_class for split in info.splits.values()]
    present = [label for label in range(len(info.classes)) if any(each[label] for each in counts)]
    for name, split in info.splits.items():
        missing = [info.classes[label] for label in present if not split.per_class[label]]
        if missing:
            yield (
                f"  warning: {name} has no images of {len(missing)} of {len(present)} classes:"
                f" {_checks.listed(missing, most=5)}"
            )
