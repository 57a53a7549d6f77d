"""The weights of the classes in the loss; no TensorFlow."""

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
    """Returns the weights of a model's classes; none where they all count the same.

    Args:
      choice: `auto`, a path, or None.
      model: whose classes they are.
      per_class: images of each class, by label; empty if that is not known.

    Raises:
      UserError: if a file is no good, or nobody knows the numbers of images.
    """
    if choice is None:
        return ()
    if choice != "auto":
        return read(choice, model.class_names)
    if not per_class:
        raise problems.error(
            "{} needs the number of images per class of {!r}, which only dataset_info.json has."
            " There is none; use a file of weights",
            named("class_weights", "auto"),
            model.dataset_name,
        )
    return by_frequency(per_class[model.labels_offset :])


def by_frequency(counts: Sequence[int]) -> tuple[float, ...]:
    """Returns weights inverse to the classes' numbers of images; their mean over the images is 1.

    Args:
      counts: images of each class. A class without any gets the weight 0.
    """
    present = sum(count > 0 for count in counts)
    return tuple(sum(counts) / (present * count) if count else 0.0 for count in counts)


def read(path: str, names: Sequence[str]) -> tuple[float, ...]:
    """Returns the weights that a file has for the classes, as they stand there.

    Args:
      path: JSON, an object of numbers by the class's name; or CSV, a name and a number a line,
        after `class,weight` or not.
      names: of the classes, in the order of the labels.

    Raises:
      UserError: if it cannot be read, lacks a class, or has one that is not known.
    """
    try:
        content = _files.read_bounded(path, _json.MAX_BYTES)
    except OSError as error:
        raise problems.error(
            "{} is neither auto nor a readable file: {}",
            named("class_weights", repr(path)),
            error.strerror,
        ) from None
    weights = _parse(path, content)
    option = named("class_weights")
    for name in weights:
        if name not in names:
            near = _checks.suggest(name, names) or f". Classes are: {_checks.listed(names, 12)}"
            raise problems.error(
                "{}: {} has {!r}, which is not a class{}", option, path, name, near
            )
    missing = [name for name in names if name not in weights]
    if missing:
        raise problems.error(
            "{}: {} has no weight for {}", option, path, _checks.listed(missing, 5)
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
            "{}: {} is not a JSON or CSV file of names and numbers: {}",
            option,
            path,
            _json.printable(str(error)),
        ) from None
    for name, weight in weights.items():
        if not 0 <= weight < math.inf:
            raise problems.error("{}: {} has the weight {} for {!r}", option, path, weight, name)
    return {name.strip(): weight for name, weight in weights.items()}
