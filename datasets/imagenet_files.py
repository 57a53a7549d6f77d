"""Reads class names and boxes of ILSVRC2012, and sorts its validation images; no TensorFlow."""

import csv
import math
import os
import re
import xml.etree.ElementTree
from collections.abc import Callable, Container, Iterator, Sequence
from typing import TypeVar

from slim import _checks, _files

T = TypeVar("T")

Box = tuple[float, float, float, float]  # xmin, ymin, xmax, ymax, 0 to 1
_MAX_XML_BYTES = 1_000_000


def sort_validation_images(directory: str, labels_file: str) -> int:
    """Moves ILSVRC2012_val_*.JPEG into directories of their classes; returns how many were moved.

    Args:
      directory: directory with the images; those that an earlier call has moved stay there.
      labels_file: class of each image, one per line.

    Raises:
      UserError: before anything is moved, if a class is not the name of a directory, an image is
        missing, or something else has the name of a directory or of a moved image.
    """
    synsets = [line.strip() for _, line in _files.read_text_lines(labels_file)]
    moves = {}
    for number, synset in enumerate(synsets, 1):
        if not re.fullmatch(r"\w[\w.-]*", synset):
            raise _checks.UserError(f"{labels_file}: {synset[:100]!r} is not the id of a class")
        name = f"ILSVRC2012_val_{number:08d}.JPEG"
        image, target = os.path.join(directory, name), os.path.join(directory, synset, name)
        _check_kind(os.path.dirname(target), "missing", "a directory")
        _check_kind(image, "missing", "a regular file")
        if os.path.lexists(image):
            _check_kind(target, "missing")
            moves[image] = target
        elif not os.path.isfile(target):
            raise _checks.UserError(f"{image} is missing; nothing was moved")
    for image, target in moves.items():
        os.makedirs(os.path.dirname(target), exist_ok=True)
        _check_kind(target, "missing")
        os.rename(image, target)
    return len(moves)


def _check_kind(path: str, *allowed: str) -> None:
    if (kind := _files.kind_of(path)) not in allowed:
        raise _checks.UserError(f"{path} already exists ({kind}). Move it away")


def names_in(path: str) -> Iterator[tuple[str, str]]:
    """Yields synset and class name of each line of a file.

    Raises:
      UserError: if the file cannot be read, or a line is invalid.
    """
    return _read_lines(path, "an id and a name", _name_of)


def boxes_in(path: str, images: Container[str]) -> dict[str, list[Box]]:
    """Returns image name -> boxes of a CSV file, for the images without ".JPEG" in `images`.

    Raises:
      UserError: if the file cannot be read, or a line is invalid.
    """
    boxes: dict[str, list[Box]] = {}
    for image, box in _read_lines(path, "an image and xmin, ymin, xmax, ymax", _box_of):
        if image in images:
            boxes.setdefault(image, []).append(box)
    return boxes


def _read_lines(path: str, content: str, parse: Callable[[str], T]) -> Iterator[T]:
    """Yields `parse(line)` for each line that is not blank; `content` describes a valid line."""
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


def boxes_in_file(path: str, other_classes: Container[str | None]) -> tuple[list[Box], int]:
    """Returns the boxes of a file in XML; see `boxes_of`."""
    try:
        content = _files.read_bounded(path, _MAX_XML_BYTES)
    except OSError as error:
        raise _checks.RunError(f"{path} cannot be read: {error.strerror}") from None
    return boxes_of(path, content, other_classes)


def boxes_of(
    name: str, content: bytes, other_classes: Container[str | None]
) -> tuple[list[Box], int]:
    """Returns the boxes of an annotation in XML, and the number of boxes that were skipped.

    Boxes of other classes and empty ones are skipped.

    Raises:
      RunError: if the annotation cannot be read.
    """
    try:
        text = content.decode()
        if "<!DOCTYPE" in text:  # may define entities that expand without limit
            raise ValueError("it has a DOCTYPE, which is not allowed")
        root = xml.etree.ElementTree.fromstring(text)
        width, height = (float(root.findtext(f"size/{side}", "")) for side in ("width", "height"))
        if not (0 < width < math.inf and 0 < height < math.inf):
            raise ValueError(f"its size is {width} x {height}")
        objects = root.findall("object")
        boxes = list(_scaled(objects, width, height, other_classes))
        return boxes, len(objects) - len(boxes)
    except (xml.etree.ElementTree.ParseError, ValueError) as error:
        raise _checks.RunError(f"Boxes {name} cannot be read: {str(error)[:200]}") from error


def _scaled(
    objects: Sequence[xml.etree.ElementTree.Element],
    width: float,
    height: float,
    other_classes: Container[str | None],
) -> Iterator[Box]:
    """Yields the boxes as fractions of the image, clipped: some annotations exceed its edges."""
    for each in objects:
        if each.findtext("name") in other_classes:
            continue
        xs = sorted(float(each.findtext(f"bndbox/{key}", "")) / width for key in ("xmin", "xmax"))
        ys = sorted(float(each.findtext(f"bndbox/{key}", "")) / height for key in ("ymin", "ymax"))
        (xmin, xmax), (ymin, ymax) = ([min(max(v, 0.0), 1.0) for v in side] for side in (xs, ys))
        if xmin < xmax and ymin < ymax:
            yield xmin, ymin, xmax, ymax
