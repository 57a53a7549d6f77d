"""dataset_info.json: counts, class names and shards of a converted dataset.

No TensorFlow here: scripts check names and directories, and `resolve` works, before it is loaded.
The file is written last, so its presence also means that the conversion is complete.
"""

import dataclasses
import json
import os
import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import msgspec

from slim import _checks, _files, _json, _paths
from slim._decodings import UPRIGHT, Decoding

FILE_NAME = "dataset_info.json"
LABELS_FILE_NAME = "labels.txt"
BAD_FILES_NAME = "bad_files.csv"
MAX_CLASSES = 1_000_000  # the network has an output for each label up to the highest
_ADVICE = "Convert the dataset again, or remove the file to read the records without it"
_CONTROLS = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f]")


@dataclasses.dataclass(frozen=True)
class ShardInfo:
    """One TFRecord file.

    Attributes:
      file: name without directory.
      num_samples: number of records.
      bytes: size of the file.
      sha256: its checksum, in hexadecimal digits.
      source_bytes: total size of the source images that are read in place as well; 0 for others. It
        decides the order of training, which is then the same for both.
    """

    file: Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
    num_samples: _json.Count
    bytes: _json.Count
    sha256: _json.Name
    source_bytes: _json.Count = 0

    def __post_init__(self) -> None:
        is_plain = os.path.basename(self.file) == self.file and self.file.isprintable()
        if not is_plain or self.file in (".", ".."):
            raise ValueError(f"shard {self.file!r} is not a plain file name")


@dataclasses.dataclass(frozen=True)
class SplitInfo:
    """One split: number of records, in total and in each class (by label), and shards in order."""

    num_samples: _json.Count
    per_class: tuple[_json.Count, ...]
    shards: tuple[ShardInfo, ...]


@dataclasses.dataclass(frozen=True)
class DatasetInfo:
    """A converted dataset: the position of a name in `classes` is its label.

    `options` are the user's options that decide the content of the records; `source_files` is the
    `local_images.summary` of the source; `decoding` is that of the source files (see
    `slim._decodings`), whose result the records have. With `multi_label`, an image has any number
    of labels and counts in each of its classes. `warnings` are about images that were just
    converted; the file does not have them.
    """

    name: _json.Name
    classes: tuple[_json.Name, ...]
    num_channels: Annotated[int, msgspec.Meta(ge=1, le=4)]
    splits: Mapping[_json.Name, SplitInfo]
    source: str = ""
    attribution: str = ""
    num_bad_files: _json.Count = 0
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    source_files: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    decoding: Decoding = UPRIGHT
    multi_label: bool = False
    warnings: tuple[str, ...] = dataclasses.field(default=(), compare=False)

    @property
    def labels_to_names(self) -> dict[int, str]:
        """Label -> class name."""
        return dict(enumerate(self.classes))


def path_in(dataset_dir: str) -> str:
    """Returns the path of the file in a dataset's directory."""
    return os.path.join(dataset_dir, FILE_NAME)


def read(dataset_dir: str) -> DatasetInfo | None:
    """Returns the directory's DatasetInfo, or None if it has none (records from TF-Slim's scripts).

    Raises:
      UserError: if the file exists but is invalid.
    """
    path = path_in(dataset_dir)
    info = _json.read(path, DatasetInfo, advice=_ADVICE)
    problem = _problem(info) if info else ""
    if problem:
        raise _checks.UserError(f"{path} cannot be used: {problem}. {_ADVICE}")
    return info


def write(info: DatasetInfo, dataset_dir: str) -> None:
    """Writes the file under a temporary name and renames it.

    Raises:
      ValueError: if the counts of `info` are inconsistent.
    """
    problem = _problem(info)
    if problem:
        raise ValueError(f"dataset info of {info.name!r}: {problem}")
    values = dataclasses.asdict(info)
    del values["warnings"]
    if not info.multi_label:
        del values["multi_label"]
    text = json.dumps(values, indent=1, ensure_ascii=False) + "\n"
    _paths.write_atomically(path_in(dataset_dir), text.encode())


def read_complete(dataset_dir: str) -> DatasetInfo | None:
    """Returns the info if the conversion has finished and every shard has the recorded size.

    Otherwise, or if the info is invalid, returns None: the dataset has to be converted again.
    """
    try:
        info = read(dataset_dir)
    except _checks.UserError:
        return None
    if info is None or not has_labels(dataset_dir):
        return None
    shards = [shard for split in info.splits.values() for shard in split.shards]
    is_intact = all(_size(os.path.join(dataset_dir, s.file)) == s.bytes for s in shards)
    return info if is_intact else None


def is_complete(dataset_dir: str) -> bool:
    """Returns whether `read_complete` finds a finished conversion."""
    return read_complete(dataset_dir) is not None


def write_label_file(
    labels_to_class_names: Mapping[int, str], dataset_dir: str, filename: str = LABELS_FILE_NAME
) -> None:
    """Writes a file with one line `label:name` for each class."""
    lines = (f"{label}:{name}\n" for label, name in labels_to_class_names.items())
    path = os.path.join(dataset_dir, filename)
    _paths.write_atomically(path, "".join(lines).encode())


def has_labels(dataset_dir: str, filename: str = LABELS_FILE_NAME) -> bool:
    """Returns whether the directory has a file of class names."""
    return os.path.isfile(os.path.join(dataset_dir, filename))


def read_label_file(dataset_dir: str, filename: str = LABELS_FILE_NAME) -> dict[int, str]:
    """Returns label -> name from a file of class names. Labels may be missing.

    Raises:
      UserError: if a line is not `label:name` with a label below `MAX_CLASSES`, or a label occurs
        twice; the message has file and line.
    """
    path = os.path.join(dataset_dir, filename)
    labels_to_names: dict[int, str] = {}
    for number, line in _files.read_text_lines(path):
        label, name, problem = _parse_label(line)
        if not problem and label in labels_to_names:
            problem = f"repeats the label {label}"
        if problem:
            raise _checks.UserError(
                f"{path}, line {number}: {line.strip()[:100]!r} {problem}."
                " Correct the file, or convert the dataset again"
            )
        labels_to_names[label] = name
    return labels_to_names


def _parse_label(line: str) -> tuple[int, str, str]:
    """Returns the label, the name and the problem (or an empty string) of a line."""
    digits, colon, name = line.partition(":")
    digits = digits.strip()
    if not colon or not (digits.isascii() and digits.isdigit()):
        return 0, "", "is not of the form label:name"
    if len(digits.lstrip("0")) > len(str(MAX_CLASSES)) or int(digits) >= MAX_CLASSES:
        return 0, "", f"has a label of {MAX_CLASSES} or more"
    if not name or _CONTROLS.search(name):
        return 0, "", "has no name, or one with control characters"
    return int(digits), name, ""


def fits(per_class: Sequence[int], num_samples: int, multi_label: bool) -> bool:
    """Returns whether records may have these numbers of images per class: one class an image, or
    with `multi_label` any number of classes."""
    if multi_label:
        return max(per_class, default=0) <= num_samples
    return sum(per_class) == num_samples


def _problem(info: DatasetInfo) -> str:
    """Returns what is wrong with the counts or names, or an empty string."""
    if not info.classes or len(set(info.classes)) != len(info.classes):
        return "classes must be distinct names, at least one"
    for name, split in info.splits.items():
        if not name.isprintable():
            return f"split {name!r} has a name that cannot be printed"
        is_fitting = fits(split.per_class, split.num_samples, info.multi_label)
        if not is_fitting or len(split.per_class) != len(info.classes):
            return f"per_class of split {name!r} does not add up to its num_samples"
        if sum(shard.num_samples for shard in split.shards) != split.num_samples:
            return f"the shards of split {name!r} do not add up to its num_samples"
    try:
        _json.check_names("classes", info.classes)
    except _checks.UserError as error:
        return str(error)
    return ""


def _size(path: str) -> int:
    try:
        return os.path.getsize(path)
    except OSError:
        return -1
