"""Finds the images, class names and boxes of ILSVRC2012 in a user's directory.

The files can only be downloaded with an account at https://image-net.org. The class ids (synsets)
are the names of the class directories, or of the archives inside the training archive.
"""

import os
import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from datasets import archives, image_tree, imagenet_files, matlab, sources
from slim import _checks, _files
from slim._problems import Problem, named

TARS = {"train": "ILSVRC2012_img_train.tar", "validation": "ILSVRC2012_img_val.tar"}
SPLIT_DIRECTORIES = {"train": ("train",), "validation": ("validation", "val")}
DEVKIT = "ILSVRC2012_devkit_t12.tar.gz"
_MAX_LABELS_BYTES = 64 << 20
VALIDATION_LABELS = "imagenet_2012_validation_synset_labels.txt"
NAMES = ("imagenet_metadata.txt", "LOC_synset_mapping.txt", "synset_words.txt")
BOXES_CSV = "imagenet_2012_bounding_boxes.csv"
BOXES_TARS = (
    "ILSVRC2012_bbox_train_v2.tar.gz",
    "ILSVRC2012_bbox_train_dogs.tar.gz",
    "ILSVRC2012_bbox_val_v3.tgz",
)
_SYNSET = re.compile(r"n\d{8}")
_LIMITS = archives.Limits(members=2_000_000, bytes=400_000_000_000)
_DEVKIT_LIMITS = archives.Limits(members=1_000, bytes=100_000_000, member_bytes=32_000_000)
_BOXES_LIMITS = archives.Limits(members=1_000_000, bytes=4_000_000_000, member_bytes=1_000_000)


class Image(NamedTuple):
    """An image: the source of its bytes, its class such as "n01440764", and its file name."""

    source: sources.Source
    synset: str
    filename: str


def find_images(source_dir: str) -> dict[str, list[Image]]:
    """Returns split -> images, sorted by class and file name, for each split in the directory.

    Args:
      source_dir: directory with the archives of ILSVRC2012, or with train/<id>/ and
        validation/<id>/ (or val/<id>/), or with all validation images in one directory.

    Raises:
      UserError: if no split is there, a split has no images, or the classes of the validation
        images are not listed.
      RunError: if an archive is damaged.
    """
    images = {}
    for split, tar in TARS.items():
        directories = [os.path.join(source_dir, name) for name in SPLIT_DIRECTORIES[split]]
        path = os.path.join(source_dir, tar)
        tree = next(filter(os.path.isdir, directories), None)
        if tree is not None:
            images[split] = _in_class_directories(tree) or _in_directory(tree, split, source_dir)
        elif os.path.isfile(path):
            images[split] = _in_tar_of_tars(path) if split == "train" else _in_tar(path, source_dir)
    if not images:
        raise _checks.UserError(
            Problem(
                "No ImageNet in {}. It needs {}, or train/<id>/*.JPEG and validation/<id>/*.JPEG,"
                " from https://image-net.org",
                named("source_dir", repr(source_dir)),
                " and ".join(TARS.values()),
            )
        )
    return {
        split: sorted(part, key=lambda image: (image.synset, image.filename))
        for split, part in images.items()
    }


def read_names(source_dir: str, synsets: Iterable[str]) -> dict[str, str]:
    """Returns synset -> class name, sorted by synset; without a list of names, the synset itself.

    The names come from the first of the files in `NAMES`, or else from the devkit.

    Raises:
      UserError: if a line of the list is invalid.
    """
    known: dict[str, str] = {}
    synsets = set(synsets)
    for name in NAMES:
        path = os.path.join(source_dir, name)
        if not known and os.path.isfile(path):
            known = {
                name: words for name, words in imagenet_files.names_in(path) if name in synsets
            }
    if not known and os.path.isfile(os.path.join(source_dir, DEVKIT)):
        try:
            known = {each["WNID"]: str(each["words"]) for each in _devkit(source_dir)[0]}
        except (KeyError, TypeError) as error:
            raise _damaged_devkit(source_dir, error) from error
    return {synset: known.get(synset, synset) for synset in sorted(synsets)}


def read_boxes(source_dir: str, synsets: Mapping[str, str]) -> dict[str, list[imagenet_files.Box]]:
    """Returns image name -> boxes, from the CSV file of TF-Slim's scripts or from the archives.

    Args:
      source_dir: directory with these files.
      synsets: image name without ".JPEG" -> class. Boxes of another of these classes are skipped.

    Raises:
      UserError: if a line of the CSV file is invalid.
      RunError: if an archive is damaged or an annotation cannot be read.
    """
    boxes: dict[str, list[imagenet_files.Box]] = {}
    path = os.path.join(source_dir, BOXES_CSV)
    if os.path.isfile(path):
        return imagenet_files.boxes_in(path, synsets)
    classes = set(synsets.values())
    for name in BOXES_TARS:
        path = os.path.join(source_dir, name)
        for member, content in (
            archives.members(path, _BOXES_LIMITS) if os.path.isfile(path) else ()
        ):
            image = os.path.splitext(os.path.basename(member))[0]
            if member.endswith(".xml") and image in synsets:
                other_classes = classes - {synsets[image]}
                annotated, _ = imagenet_files.boxes_of(f"{name}:{member}", content, other_classes)
                if annotated:
                    boxes[image] = annotated
    return boxes


def in_class_directories(tree: str, synsets: Iterable[str]) -> list[Image]:
    """Returns the images TREE/<synset>/*.JPEG of classes, in their order, sorted by file name.

    Raises:
      UserError: if a directory cannot be read; a class may lack one.
    """
    images = []
    for synset in synsets:
        directory = os.path.join(tree, synset)
        try:
            names = sorted(os.listdir(directory)) if os.path.lexists(directory) else []
        except OSError as error:
            raise _checks.UserError(f"{directory} cannot be read: {error.strerror}") from None
        images += [
            Image(sources.FileSource(os.path.join(directory, name)), synset, name)
            for name in names
            if name.endswith(".JPEG") and not name.startswith(".")
        ]
    return images


def _in_class_directories(tree: str) -> list[Image]:
    root = image_tree.read(tree, sizes=False)
    return [
        Image(file.source, parts[0], parts[-1]) for parts, file in root.walk() if len(parts) > 1
    ]


def _in_directory(tree: str, split: str, source_dir: str) -> list[Image]:
    """Returns the images of a directory without classes, like the unpacked validation archive."""
    paths = image_tree.paths(tree)
    if split == "train" or not paths:
        raise _checks.UserError(f"{tree} has no images in class directories such as n01440764/")
    return [
        Image(sources.FileSource(path), synset, os.path.basename(path))
        for path, synset in zip(paths, _labels_of(len(paths), tree, source_dir), strict=True)
    ]


def _in_tar_of_tars(path: str) -> list[Image]:
    images = []
    for inner in sorted(archives.list_tar(path, _LIMITS)):
        synset = inner.name.removesuffix(".tar")
        if not _SYNSET.fullmatch(synset):
            raise _checks.RunError(
                f"{path} contains {inner.name!r}. Expected: only archives such as n01440764.tar"
            )
        images += [
            Image(_source(path, member), synset, os.path.basename(member.name))
            for member in sorted(archives.list_tar(path, _LIMITS, within=inner))
        ]
    return images


def _in_tar(path: str, source_dir: str) -> list[Image]:
    members = sorted(archives.list_tar(path, _LIMITS))
    return [
        Image(_source(path, member), synset, os.path.basename(member.name))
        for member, synset in zip(members, _labels_of(len(members), path, source_dir), strict=True)
    ]


def _source(path: str, member: archives.Range) -> sources.RangeSource:
    return sources.RangeSource(path, member.offset, member.size, member.name)


def _labels_of(count: int, path: str, source_dir: str) -> list[str]:
    """Returns the classes of the validation images, in the order of their file names."""
    labels = _validation_labels(path, source_dir)
    if len(labels) != count:
        raise _checks.UserError(
            f"{path} has {count} images, but the list of their classes has {len(labels)} labels"
        )
    return labels


def _validation_labels(images: str, source_dir: str) -> list[str]:
    path = os.path.join(source_dir, VALIDATION_LABELS)
    if os.path.isfile(path):
        try:
            return _files.read_bounded(path, _MAX_LABELS_BYTES).decode().split()
        except UnicodeDecodeError:
            raise _checks.UserError(f"{path} is not UTF-8. Expected: one class per line") from None
        except OSError as error:
            raise _checks.UserError(f"{path} cannot be read: {error.strerror}") from None
    if os.path.isfile(os.path.join(source_dir, DEVKIT)):
        classes, truth = _devkit(source_dir)
        try:
            by_id = {int(each["ILSVRC2012_ID"][0]): each["WNID"] for each in classes}
            return [by_id[number] for number in truth]
        except (KeyError, TypeError, ValueError, IndexError, OverflowError) as error:
            raise _damaged_devkit(source_dir, error) from error
    raise _checks.UserError(
        f"The classes of {os.path.basename(images)} are unknown: {source_dir!r} needs {DEVKIT}, or"
        f" {VALIDATION_LABELS} with one class per line"
    )


def _devkit(source_dir: str) -> tuple[list[dict[str, Any]], list[int]]:
    """Returns the classes, and the class number of each validation image."""
    path = os.path.join(source_dir, DEVKIT)
    files = {"meta.mat": b"", "ILSVRC2012_validation_ground_truth.txt": b""}
    for name, content in archives.members(path, _DEVKIT_LIMITS):
        if os.path.basename(name) in files:
            files[os.path.basename(name)] = content
    meta, truth = files.values()
    if not meta or not truth:
        raise _checks.RunError(f"{path} lacks {' or '.join(files)}. Download it again")
    try:
        return matlab.read_structs(meta, "synsets"), [int(number) for number in truth.split()]
    except (_checks.RunError, ValueError) as error:
        raise _damaged_devkit(source_dir, error) from error


def _damaged_devkit(source_dir: str, error: Exception) -> _checks.RunError:
    reason = str(error)[:200] if str(error) else type(error).__name__
    return _checks.RunError(
        f"{os.path.join(source_dir, DEVKIT)} has a damaged list of classes or of validation labels"
        f" ({reason}). Download it again"
    )
