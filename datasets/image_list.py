"""Lists of images with their classes and splits. No TensorFlow."""

import os
from collections.abc import Iterable, Sequence
from concurrent import futures

from datasets import folder_layout, image_tree, list_rows, sources
from datasets.image_tree import File
from datasets.items import Item
from datasets.list_rows import Row
from slim import _checks
from slim._problems import Problem, named

_SPLITS = {
    **folder_layout.SPLIT_DIRECTORIES,
    "training": "train",
    "valid": "validation",
    "testing": "test",
}
_THREADS = 16
_CHUNK = 256
_LISTED = 3


def read(
    path: str,
    base: str | None = None,
    class_names: Sequence[str] | None = None,
    multi_label: bool = False,
) -> tuple[list[str], dict[str, list[Item]]]:
    """Returns the class names, and the images of each split by class and path.

    The order of the rows has no effect: a list of a directory's images has the directory's order.

    Args:
      path: the list; see `list_rows.read`.
      base: directory or archive that relative paths refer to; default: the directory of the list.
      class_names: names in the order of the labels; default: the labels of the list, sorted.
      multi_label: whether an image may have several labels.

    Returns:
      class names, and split -> images; without a column of splits, the only split is
      `folder_layout.UNDIVIDED`.

    Raises:
      UserError: if the list is invalid, an image has several labels or rows, or does not exist, or
        a label is not among `class_names`.
      RunError: if `base` is a damaged archive.
    """
    rows = list_rows.read(path)
    if not multi_label:
        _check_single_labels(rows, path)
    _check_splits(rows, path)
    classes = list(class_names or sorted({label for row in rows for label in row.labels}))
    labels = _labels(rows, classes, path)
    names, files = _find(rows, path, base)
    parts: dict[str, list[tuple[int, list[str], Item]]] = {}
    seen: dict[str, int] = {}
    for row, name, file in zip(rows, names, files, strict=True):
        if name in seen:
            raise _checks.UserError(
                f"{path}, row {row.number}: {row.path[:200]!r} is in row {seen[name]} too. Remove"
                " one of them"
            )
        seen[name] = row.number
        own = tuple(sorted({labels[each] for each in row.labels}))
        item = folder_layout.item(file, own if multi_label else own[0], name)
        split = _SPLITS.get(row.split.lower(), row.split)
        parts.setdefault(split, []).append((own[0], name.split("/"), item))
    usual = list(dict.fromkeys(_SPLITS.values()))
    order = sorted(parts, key=lambda split: (usual.index(split) if split in usual else 9, split))
    ordered = {split: _sorted(parts[split]) for split in order}
    if folder_layout.UNDIVIDED not in ordered and "train" not in ordered:
        raise _checks.UserError(
            f"{path} has no row of the split 'train'; its splits: {_checks.listed(ordered)}"
        )
    return classes, ordered


def _sorted(entries: Iterable[tuple[int, list[str], Item]]) -> list[Item]:
    return [item for _, _, item in sorted(entries, key=lambda entry: entry[:2])]


def _check_single_labels(rows: Iterable[Row], path: str) -> None:
    for row in rows:
        if len(row.labels) > 1:
            raise _checks.UserError(
                Problem(
                    "{}, row {}: {!r} has {} labels ({}). To train on several labels per image,"
                    " pass {}",
                    path,
                    row.number,
                    row.path[:200],
                    len(row.labels),
                    _checks.listed(row.labels, most=5),
                    named("multi_label"),
                )
            )


def _check_splits(rows: Sequence[Row], path: str) -> None:
    without = next((row for row in rows if not row.split), None)
    if without is not None and any(row.split for row in rows):
        raise _checks.UserError(f"{path}, row {without.number}: it has no split, but others have")


def _labels(rows: Iterable[Row], classes: Sequence[str], path: str) -> dict[str, int]:
    """Returns the label of each class name, and of numbers among the labels that are no names."""
    labels = {name: label for label, name in enumerate(classes)}
    for row, name in ((each, name) for each in rows for name in each.labels):
        if name in labels:
            continue
        is_number = name.isascii() and name.isdigit() and len(name) < 10
        if not is_number or int(name) >= len(classes):
            raise _checks.UserError(
                f"{path}, row {row.number}: the file of class names lacks {name!r}"
                f"{_checks.suggest(name, labels)}"
            )
        labels[name] = int(name)
    return labels


# ---- files ---------------------------------------------------------------------------------------


def _find(rows: Sequence[Row], path: str, base: str | None) -> tuple[list[str], list[File]]:
    """Returns the name in records, relative to the base, and the file of each row."""
    base = os.path.dirname(os.path.abspath(path)) if base is None else base
    if os.path.isfile(base):
        members = dict(image_tree.read_members(base))
        names = [os.path.normpath(row.path) for row in rows]
        files = [members.get(name, File(sources.FileSource(name), -1)) for name in names]
    else:
        absolute = os.path.abspath(base)
        names = [_relative(row.path, absolute) for row in rows]
        files = [File(sources.FileSource(os.path.join(base, name))) for name in names]
        chunks = [files[start : start + _CHUNK] for start in range(0, len(files), _CHUNK)]
        with futures.ThreadPoolExecutor(_THREADS) as pool:
            list(pool.map(image_tree.read_sizes, chunks))
    missing = [row for row, file in zip(rows, files, strict=True) if file.size < 0]
    if missing:
        shown = _checks.listed(
            (f"{row.path[:200]!r} (row {row.number})" for row in missing), most=_LISTED
        )
        raise _checks.UserError(
            Problem(
                "{}: {} of {} images are not in {}: {}. Relative paths refer to {}; default: the"
                " directory of the list",
                path,
                len(missing),
                len(rows),
                base,
                shown,
                named("dataset_dir"),
            )
        )
    return names, files


def _relative(path: str, base: str) -> str:
    """Returns a path without `.` and `..`, relative to an absolute base if it is in it."""
    path = os.path.normpath(path)
    inside = os.path.join(base, "")
    return path.removeprefix(inside) if path.startswith(inside) else path
