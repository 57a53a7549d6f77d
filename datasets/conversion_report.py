"""What is told of a dataset that has been made. No TensorFlow here."""

import os
from collections.abc import Iterator

from datasets import dataset_info
from slim import _checks

_LISTED_CLASSES = 20  # more are told in part
_IMBALANCE = 10  # times as many images in one class as in another, above which one is told


def summary(info: dataset_info.DatasetInfo) -> str:
    """Returns how many images and classes there are, in a line."""
    splits = ", ".join(f"{split.num_samples} {name}" for name, split in info.splits.items())
    return f"{splits} images of {len(info.classes)} classes"


def lines(info: dataset_info.DatasetInfo, dataset_dir: str) -> Iterator[str]:
    """Yields the lines about a dataset that has just been made.

    Args:
      info: the dataset.
      dataset_dir: where it is.
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
    yield from _absent(info)
    if info.num_bad_files:
        listed = os.path.join(dataset_dir, dataset_info.BAD_FILES_NAME)
        yield f"  {info.num_bad_files} bad files left out, listed in {listed}"
    for label, name in info.labels_to_names.items():
        if not any(split.per_class[label] for split in info.splits.values()):
            yield f"  class {label} ({name}) has no image"
    for name in info.options.get("unlabelled_splits", ()):
        yield f"  split {name} has no labels and was left out"
    if os.path.isdir(os.path.join(dataset_dir, "samples")):
        yield f"  pictures to try: {os.path.join(dataset_dir, 'samples')}"
    if info.attribution:
        yield f"  {info.attribution}"


def _table(info: dataset_info.DatasetInfo) -> Iterator[str]:
    """Yields the images of each class and split, in columns."""
    splits = list(info.splits.values())
    rows = [
        (f"{label} {name}", *(str(split.per_class[label]) for split in splits))
        for label, name in info.labels_to_names.items()
    ]
    if len(rows) > _LISTED_CLASSES:
        left = len(rows) - _LISTED_CLASSES + 1
        text = f"... {left} more in {dataset_info.FILE_NAME}"
        rows[_LISTED_CLASSES - 1 :] = [(text, *("" for _ in splits))]
    rows = [("class", *info.splits), *rows]
    rows.append(("all", *(str(split.num_samples) for split in splits)))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for name, *counts in rows:
        cells = [count.rjust(width) for count, width in zip(counts, widths[1:], strict=True)]
        yield "    " + "  ".join([name.ljust(widths[0]), *cells]).rstrip()


def _imbalance(info: dataset_info.DatasetInfo) -> Iterator[str]:
    """Yields a warning for each split in which a class has far more images than another."""
    for name, split in info.splits.items():
        present = [(count, label) for label, count in enumerate(split.per_class) if count]
        (least, rare), (most, frequent) = min(present), max(present)
        if most > _IMBALANCE * least:
            yield (
                f"  warning: {name} is unbalanced: {info.classes[frequent]!r} has {most} images,"
                f" {info.classes[rare]!r} has {least}"
            )


def _absent(info: dataset_info.DatasetInfo) -> Iterator[str]:
    """Yields a warning for each split that lacks classes which another has."""
    counts = [split.per_class for split in info.splits.values()]
    present = [label for label in range(len(info.classes)) if any(each[label] for each in counts)]
    for name, split in info.splits.items():
        absent = [info.classes[label] for label in present if not split.per_class[label]]
        if absent:
            yield (
                f"  warning: {name} has no image of {len(absent)} of {len(present)} classes:"
                f" {_checks.listed(absent, most=5)}"
            )
