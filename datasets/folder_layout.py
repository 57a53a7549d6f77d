"""Directories of images: SRC/<class>/<image>, or SRC/{train,validation,test}/<class>/<image>.

No TensorFlow.
"""

import os
from collections.abc import Iterator, Mapping, Sequence

from datasets import image_tree
from datasets.image_tree import Directory
from datasets.items import Item
from slim import _checks

SPLIT_DIRECTORIES = {
    "train": "train",
    "validation": "validation",
    "val": "validation",
    "test": "test",
}
# Other common names of split directories, in lower case.
_LIKE_SPLITS = {*SPLIT_DIRECTORIES, "training", "valid", "testing"}
_IMAGE_ENDINGS = (".jpg", ".jpeg", ".png", ".gif", ".bmp", ".webp", ".tif", ".tiff")
# Of a directory of class directories, without names of splits.
UNDIVIDED = ""


def read(
    root: Directory, path: str, class_names: Sequence[str] | None = None
) -> tuple[list[str], dict[str, list[Item]]]:
    """Returns the class names, and the images of each split in the order of their names.

    Args:
      root: the content of the directory or archive.
      path: its path, for messages.
      class_names: names in the order of the labels; default: those of the directories, sorted.

    Returns:
      class names, and split -> images; without split directories, the only split is `UNDIVIDED`.

    Raises:
      UserError: if the layout is another, or a directory is not among `class_names`.
    """
    splits = _find_splits(root, path)
    if splits is None:
        splits = {UNDIVIDED: (root, ())}
    by_split = {}
    for split, (directory, above) in splits.items():
        at = os.path.join(path, *above)
        _check_classes(directory, at)
        by_split[split] = sorted(directory.directories)
    classes = list(class_names or next(iter(by_split.values())))
    labels = {name: label for label, name in enumerate(classes)}
    for split, names in by_split.items():
        _check_known(split, names, labels, class_names is not None, path)
    return classes, {
        split: list(_items(directory, above, labels))
        for split, (directory, above) in splits.items()
    }


def read_classes(directory: str, base: str) -> tuple[list[str], list[Item]]:
    """Returns the sorted names of the class directories, and the files in them as labeled items.

    Args:
      directory: contains one directory per class, each with files and further subdirectories.
      base: the records' file names are relative to this directory.
    """
    root = image_tree.read(directory)
    classes = sorted(root.directories)
    above = os.path.relpath(directory, base)
    labels = {name: label for label, name in enumerate(classes)}
    return classes, list(_items(root, () if above == "." else tuple(above.split(os.sep)), labels))


def item(file: image_tree.File, label: int | tuple[int, ...], name: str) -> Item:
    """Returns an image; bytes of its name that are not UTF-8 become escapes."""
    name = name.encode("utf-8", "backslashreplace").decode()
    return Item(file.source, label, name, size=max(file.size, 0), time=file.time)


def _items(
    directory: Directory, above: tuple[str, ...], labels: Mapping[str, int]
) -> Iterator[Item]:
    for name in sorted(directory.directories):
        for parts, file in directory.directories[name].walk(*above, name):
            yield item(file, labels[name], "/".join(parts))


def _check_classes(directory: Directory, path: str) -> None:
    loose_images = _loose_images(directory)
    if not directory.directories:
        raise _checks.UserError(
            f"No class directories in {path} (0 subdirectories, {len(loose_images)} images)."
            " Expected: SRC/<class>/<image>"
        )
    if loose_images:
        raise _checks.UserError(
            f"{path} has {len(loose_images)} images outside the class directories, such as"
            f" {loose_images[0]!r}. Move each into the directory of its class"
        )
    for name in directory.directories:
        if not name.isprintable():
            raise _checks.UserError(
                f"The name of class directory {name!r} has a control character. Rename it"
            )


def _check_known(
    split: str, names: Sequence[str], labels: Mapping[str, int], is_file: bool, path: str
) -> None:
    extra = [name for name in names if name not in labels]
    if not extra:
        return
    suggestion = _checks.suggest(extra[0], labels)
    if is_file:
        raise _checks.UserError(
            f"{path} has classes that the file of class names lacks: {_checks.listed(extra)}"
            f"{suggestion}"
        )
    raise _checks.UserError(
        f"Split {split!r} has classes that 'train' lacks: {_checks.listed(extra)}{suggestion}"
    )


def _find_splits(root: Directory, path: str) -> dict[str, tuple[Directory, tuple[str]]] | None:
    """Returns split -> its directory and name, or None if the subdirectories are classes.

    Raises:
      UserError: if the split directories have other names, or there are others next to them.
    """
    names = sorted(root.directories)
    # A class may have the name of a split, but then it has images of its own.
    parents_of_classes = [
        name
        for name in names
        if root.directories[name].directories and not _loose_images(root.directories[name])
    ]
    like_splits = [name for name in parents_of_classes if name.lower() in _LIKE_SPLITS]
    if not like_splits:
        return None
    if "train" not in names or not root.directories["train"].directories:
        raise _checks.UserError(
            f"{path} has {_checks.listed(like_splits)}, which contain directories and no"
            " images. Splits must be called train (required), validation (or val) and test"
        )
    others = [name for name in names if name not in SPLIT_DIRECTORIES]
    if others or {"val", "validation"} <= set(names):
        raise _checks.UserError(
            f"{path} has the split 'train' among {_checks.listed(names, most=10)}. Splits"
            " must be called train, validation (or val) and test, without other directories"
        )
    by_split = {SPLIT_DIRECTORIES[name]: name for name in names}
    return {
        split: (root.directories[by_split[split]], (by_split[split],))
        for split in ("train", "validation", "test")
        if split in by_split
    }


def _loose_images(directory: Directory) -> list[str]:
    return [name for name in sorted(directory.files) if name.lower().endswith(_IMAGE_ENDINGS)]
