"""Weights of the classes in the loss; no TensorFlow."""

import csv
import math
from collections.abc import Sequence
from typing import Annotated

import msgspec

from classifier.config import problems
from classifier.config.problems import named
from classifier.model_info import ModelInfo
from slim import _checks, _files, _json

_Weight = Annotated[float, msgspec.Meta(ge=0)]


def resolve(choice: str | None, model: ModelInfo, per_class: Sequence[int]) -> tuple[float, ...]:
    """Returns the weights of a model's classes. Empty: all classes have the weight 1.

    Args:
      choice: `auto`, a path, or None.
      model: the model.
      per_class: number of images of each label. Empty: unknown.

    Raises:
      UserError: if the file is invalid, or `auto` is chosen and the numbers of images are unknown.
    """
    if choice is None:
        return ()
    if choice != "auto":
        return read(choice, model.class_names)
    if not per_class:
        raise problems.error(
            "{} needs the number of images per class, and {!r} has no dataset_info.json. Pass a"
            " file with weights",
            named("class_weights", "auto"),
            model.dataset_name,
        )
    return by_frequency(per_class[model.labels_offset :])


def by_frequency(counts: Sequence[int]) -> tuple[float, ...]:
    """Returns weights inversely proportional to the class counts; their mean over all images is 1.

    Args:
      counts: number of images of each class. A class without images has the weight 0.
    """
    present = sum(count > 0 for count in counts)
    return tuple(sum(counts) / (present * count) if count else 0.0 for count in counts)


def read(path: str, names: Sequence[str]) -> tuple[float, ...]:
    """Reads the weights of the classes from a file.

    Args:
      path: JSON object `{class: weight}`, or CSV with `class,weight` lines and an optional header.
      names: class names in the order of the labels.

    Raises:
      UserError: if the file cannot be read, lacks a class, or has an unknown one.
    """
    try:
        content = _files.read_bounded(path, _json.MAX_BYTES)
    except OSError as error:
        raise problems.error(
            "{} is neither `auto` nor a readable file: {}",
            named("class_weights", repr(path)),
            error.strerror,
        ) from None
    weights = _parse(path, content)
    option = named("class_weights")
    for name in weights:
        if name not in names:
            near = _checks.suggest(name, names) or f". Classes: {_checks.listed(names, 12)}"
            raise problems.error("{}: unknown class {!r} in {}{}", option, name, path, near)
    missing = [name for name in names if name not in weights]
    if missing:
        raise problems.error(
            "{}: classes missing in {}: {}", option, path, _checks.listed(missing, 5)
        )
    return tuple(weights[name] for name in names)


def _parse(path: str, content: bytes) -> dict[str, float]:
    option = named("class_weights")
    try:
        if path.endswith(".json"):
            weights = _json.decode(content, dict[_json.Name, _Weight])
        else:
            pairs = [row for row in csv.reader(content.decode().splitlines()) if row]
            pairs = pairs[1:] if pairs and pairs[0] == ["class", "weight"] else pairs
            weights = {name: float(weight) for name, weight in pairs}
    except UnicodeDecodeError:
        raise problems.error("{}: {} is not UTF-8", option, path) from None
    except (ValueError, csv.Error) as error:
        raise problems.error(
            "{}: {} is not JSON or CSV with class names and weights: {}",
            option,
            path,
            _json.printable(str(error)),
        ) from None
    for name, weight in weights.items():
        if not 0 <= weight < math.inf:
            raise problems.error(
                "{}: the weight of {!r} in {} is {}. It must be finite and not negative",
                option,
                name,
                path,
                weight,
            )
    return {name.strip(): weight for name, weight in weights.items()}
