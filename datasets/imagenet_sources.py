"""What people have of ILSVRC2012, and how it is found: pictures, names, boxes.

Nothing of it can be downloaded without an account at https://image-net.org, and no list of its
classes is kept here: their ids are the names of the folders, or of the archives in the archive.
"""

import csv
import math
import os
import re
import xml.etree.ElementTree
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from datasets import archives, folder, folder_files, matlab, sources
from slim import _checks, _files

TARS = {"train": "ILSVRC2012_img_train.tar", "validation": "ILSVRC2012_img_val.tar"}
FOLDERS = {"train": ("train",), "validation": ("validation", "val")}
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

T = TypeVar("T")

Box = tuple[float, float, float, float]  # xmin, ymin, xmax, ymax, 0 to 1


class Picture(NamedTuple):
    """A picture: where it is, its class, such as "n01440764", and its file name."""

    source: sources.Source
    synset: str
    filename: str


def find_pictures(source_dir: str) -> dict[str, list[Picture]]:
    """Returns the pictures of the splits that are there, in the order of classes and names.

    Args:
      source_dir: a folder with the archives of ILSVRC2012, or with train/<id>/ and
        validation/<id>/ (or val/<id>/), or with the pictures of validation in one folder.

    Raises:
      UserError: if there is neither, a folder has no picture, or the classes of the pictures of
        validation are not said.
      RunError: if an archive is damaged.
    """
    found = {}
    for split, tar in TARS.items():
        folders = [os.path.join(source_dir, name) for name in FOLDERS[split]]
        path = os.path.join(source_dir, tar)
        tree = next(filter(os.path.isdir, folders), None)
        if tree is not None:
            found[split] = _in_folders(tree) or _in_folder(tree, split, source_dir)
        elif os.path.isfile(path):
            found[split] = _in_tar_of_tars(path) if split == "train" else _in_tar(path, source_dir)
    if not found:
        raise _checks.UserError(
            f"No ImageNet in source_dir={source_dir!r}: it needs {' and '.join(TARS.values())}, or"
            " train/<id>/*.JPEG and validation/<id>/*.JPEG. They come from https://image-net.org,"
            " with an account"
        )
    return {
        split: sorted(pictures, key=lambda picture: (picture.synset, picture.filename))
        for split, pictures in found.items()
    }


def read_names(source_dir: str, synsets: Iterable[str]) -> dict[str, str]:
    """Returns class -> its name in words, from a list of names or the devkit; else the class.

    Raises:
      UserError: if a line of the list is not so.
    """
    known: dict[str, str] = {}
    synsets = set(synsets)
    for name in NAMES:
        path = os.path.join(source_dir, name)
        if not known and os.path.isfile(path):
            lines = _read_lines(path, "an id and a name", _name_of)
            known = {synset: words for synset, words in lines if synset in synsets}
    if not known and os.path.isfile(os.path.join(source_dir, DEVKIT)):
        try:
            known = {each["WNID"]: str(each["words"]) for each in _devkit(source_dir)[0]}
        except (KeyError, TypeError) as error:
            raise _damaged_devkit(source_dir, error) from error
    return {synset: known.get(synset, synset) for synset in sorted(synsets)}


def read_boxes(source_dir: str, synsets: Mapping[str, str]) -> dict[str, list[Box]]:
    """Returns picture -> boxes, of the list that the original's scripts make, or of the archives.

    Args:
      source_dir: the folder.
      synsets: picture, without ".JPEG" -> class. A box of another of these classes is left out.

    Raises:
      UserError: if a line of the list is not so.
      RunError: if an archive is damaged or an annotation cannot be read.
    """
    found: dict[str, list[Box]] = {}
    path = os.path.join(source_dir, BOXES_CSV)
    if os.path.isfile(path):
        for picture, box in _read_lines(path, "a picture and xmin, ymin, xmax, ymax", _box_of):
            if picture in synsets:
                found.setdefault(picture, []).append(box)
        return found
    classes = set(synsets.values())
    for name in BOXES_TARS:
        path = os.path.join(source_dir, name)
        for member, content in (
            archives.members(path, _BOXES_LIMITS) if os.path.isfile(path) else ()
        ):
            picture = os.path.splitext(os.path.basename(member))[0]
            if member.endswith(".xml") and picture in synsets:
                others = classes - {synsets[picture]}
                boxes = _boxes_of(f"{name}:{member}", content, others)
                if boxes:
                    found[picture] = boxes
    return found


def _read_lines(path: str, content: str, parse: Callable[[str], T]) -> Iterator[T]:
    """Yields what `parse` makes of the lines that are not blank."""
    for number, line in _files.read_text_lines(path):
        try:
            yield parse(line.strip())
        except (ValueError, csv.Error):
            raise _checks.UserError(
                f"{path}, line {number}: {line.strip()[:100]!r} is not {content}"
            ) from None


def _name_of(line: str) -> tuple[str, str]:
    synset, name = re.split(r"[\t ]", line, maxsplit=1)
    return synset, name


def _box_of(line: str) -> tuple[str, Box]:
    name, *sides = next(csv.reader([line]))
    xmin, ymin, xmax, ymax = map(float, sides)
    if not (0 <= xmin <= xmax <= 1 and 0 <= ymin <= ymax <= 1):
        raise ValueError
    return name.removesuffix(".JPEG"), (xmin, ymin, xmax, ymax)


def _in_folders(tree: str) -> list[Picture]:
    return [
        Picture(item.source, name, os.path.basename(item.source.path))
        for name in folder.class_folders(tree)
        for item in folder.find_class(os.path.join(tree, name), 0, tree)
    ]


def _in_folder(tree: str, split: str, source_dir: str) -> list[Picture]:
    """Returns the pictures of a folder without classes, as the archive of validation unpacks."""
    paths = list(folder_files.find(tree))
    if split == "train" or not paths:
        raise _checks.UserError(
            f"{tree} has no pictures in folders of their class, such as n01440764"
        )
    return [
        Picture(sources.FileSource(path), synset, os.path.basename(path))
        for path, synset in zip(paths, _labels_of(len(paths), tree, source_dir), strict=True)
    ]


def _in_tar_of_tars(path: str) -> list[Picture]:
    found = []
    for inner in sorted(archives.list_tar(path, _LIMITS)):
        synset = inner.name.removesuffix(".tar")
        if not _SYNSET.fullmatch(synset):
            raise _checks.RunError(
                f"{path} holds {inner.name!r}; only archives such as n01440764.tar are expected"
            )
        for place in sorted(archives.list_tar(path, _LIMITS, within=inner)):
            name = os.path.basename(place.name)
            found.append(Picture(_range(path, place), synset, name))
    return found


def _in_tar(path: str, source_dir: str) -> list[Picture]:
    places = sorted(archives.list_tar(path, _LIMITS))
    return [
        Picture(_range(path, place), synset, os.path.basename(place.name))
        for place, synset in zip(places, _labels_of(len(places), path, source_dir), strict=True)
    ]


def _range(path: str, place: archives.Range) -> sources.RangeSource:
    return sources.RangeSource(path, place.offset, place.size, place.name)


def _labels_of(count: int, path: str, source_dir: str) -> list[str]:
    """Returns the classes of the pictures of validation, in the order of their names."""
    labels = _validation_labels(path, source_dir)
    if len(labels) != count:
        raise _checks.UserError(
            f"{path} has {count} pictures, but there are {len(labels)} labels for them"
        )
    return labels


def _validation_labels(pictures: str, source_dir: str) -> list[str]:
    path = os.path.join(source_dir, VALIDATION_LABELS)
    if os.path.isfile(path):
        try:
            return _files.read_bounded(path, _MAX_LABELS_BYTES).decode().split()
        except UnicodeDecodeError:
            raise _checks.UserError(f"{path} is not UTF-8: it needs one class a line") from None
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
        f"The classes of {os.path.basename(pictures)} are not in {source_dir!r}: it needs {DEVKIT},"
        f" or {VALIDATION_LABELS} with one class a line"
    )


def _devkit(source_dir: str) -> tuple[list[dict[str, Any]], list[int]]:
    """Returns the classes and, for each validation picture, the number of its class."""
    path = os.path.join(source_dir, DEVKIT)
    wanted = {"meta.mat": b"", "ILSVRC2012_validation_ground_truth.txt": b""}
    for name, content in archives.members(path, _DEVKIT_LIMITS):
        if os.path.basename(name) in wanted:
            wanted[os.path.basename(name)] = content
    meta, truth = wanted.values()
    if not meta or not truth:
        raise _checks.RunError(f"{path} lacks {' or '.join(wanted)}: get it again")
    try:
        return matlab.read_structs(meta, "synsets"), [int(number) for number in truth.split()]
    except (_checks.RunError, ValueError) as error:
        raise _damaged_devkit(source_dir, error) from error


def _damaged_devkit(source_dir: str, error: Exception) -> _checks.RunError:
    reason = str(error)[:200] if str(error) else type(error).__name__
    return _checks.RunError(
        f"{os.path.join(source_dir, DEVKIT)} has a damaged list of classes or of validation labels"
        f" ({reason}): get it again"
    )


def _boxes_of(name: str, content: bytes, others: set[str]) -> list[Box]:
    try:
        text = content.decode()
        if "<!DOCTYPE" in text:  # may define entities that expand without end
            raise ValueError("it has a document type, which real annotations have not")
        root = xml.etree.ElementTree.fromstring(text)
        width, height = (float(root.findtext(f"size/{side}", "")) for side in ("width", "height"))
        if not (0 < width < math.inf and 0 < height < math.inf):
            raise ValueError(f"its size is {width} x {height}")
        return list(_scaled(root.findall("object"), width, height, others))
    except (xml.etree.ElementTree.ParseError, ValueError) as error:
        raise _checks.RunError(f"Boxes {name} cannot be read: {str(error)[:200]}") from error


def _scaled(
    objects: Sequence[xml.etree.ElementTree.Element],
    width: float,
    height: float,
    others: set[str],
) -> Iterator[Box]:
    """Yields the boxes as shares of the picture; annotators have drawn beyond its edges."""
    for each in objects:
        if each.findtext("name") in others:
            continue
        xs = sorted(float(each.findtext(f"bndbox/{key}", "")) / width for key in ("xmin", "xmax"))
        ys = sorted(float(each.findtext(f"bndbox/{key}", "")) / height for key in ("ymin", "ymax"))
        (xmin, xmax), (ymin, ymax) = ([min(max(v, 0.0), 1.0) for v in side] for side in (xs, ys))
        if xmin < xmax and ymin < ymax:
            yield xmin, ymin, xmax, ymax
