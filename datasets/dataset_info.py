"""dataset_info.json: what a converter wrote, so that nobody has to guess counts or class names.

No TensorFlow here: scripts check names and folders, and `resolve` works, before it is loaded. The
file is written last, so it also says that a conversion is complete.
"""

import dataclasses
import json
import os
import re
from collections.abc import Mapping
from typing import Any

from slim import _checks, _files, _paths

FILE_NAME = "dataset_info.json"
LABELS_FILE_NAME = "labels.txt"
BAD_FILES_NAME = "bad_files.csv"
MAX_CLASSES = 1_000_000  # each label up to the highest one gets a name and an output of the network
_CONTROLS = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f]")


@dataclasses.dataclass(frozen=True)
class ShardInfo:
    """One TFRecord file: its name without directory, records, size in bytes and SHA-256 (hex)."""

    file: str
    num_samples: int
    bytes: int
    sha256: str


@dataclasses.dataclass(frozen=True)
class SplitInfo:
    """One split: its records, records of each class (by label) and its shards in order."""

    num_samples: int
    per_class: tuple[int, ...]
    shards: tuple[ShardInfo, ...]


@dataclasses.dataclass(frozen=True)
class DatasetInfo:
    """A converted dataset: the position of a name in `classes` is its label.

    `options` has what the user chose that decides what is in the records, `source_files` what
    `folder_files.summary` said of the pictures' folder.
    """

    name: str
    classes: tuple[str, ...]
    num_channels: int
    splits: Mapping[str, SplitInfo]
    source: str = ""
    attribution: str = ""
    num_bad_files: int = 0
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    source_files: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def labels_to_names(self) -> dict[int, str]:
        """Label -> class name."""
        return dict(enumerate(self.classes))


def path_in(dataset_dir: str) -> str:
    """Returns where the file lies in a dataset's directory."""
    return os.path.join(dataset_dir, FILE_NAME)


def read(dataset_dir: str) -> DatasetInfo | None:
    """Returns the directory's DatasetInfo, or None if it has none (records of the original
    scripts).

    Raises:
      UserError: if the file is there but is not what a converter writes.
    """
    path = path_in(dataset_dir)
    try:
        with open(path, encoding="utf-8") as file:
            fields = json.load(file)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise _bad(path, str(error)) from None
    try:
        info = _from_json(fields)
    except KeyError as error:
        raise _bad(path, f"the key {error} is missing") from None
    except (TypeError, AttributeError) as error:
        raise _bad(path, f"a value has the wrong type ({error})") from None
    problem = _problem(info)
    if problem:
        raise _bad(path, problem)
    return info


def write(info: DatasetInfo, dataset_dir: str) -> None:
    """Writes the file under a temporary name and renames it.

    Raises:
      ValueError: if the counts of `info` contradict each other.
    """
    problem = _problem(info)
    if problem:
        raise ValueError(f"dataset info of {info.name!r}: {problem}")
    text = json.dumps(dataclasses.asdict(info), indent=1, ensure_ascii=False) + "\n"
    _paths.write_atomically(path_in(dataset_dir), text.encode())


def read_complete(dataset_dir: str) -> DatasetInfo | None:
    """Returns the info if a conversion has finished here and every shard still has its size.

    Otherwise, also if the info cannot be used, returns None: the dataset is to be converted again.
    """
    try:
        info = read(dataset_dir)
    except _checks.UserError:
        return None
    if info is None or not has_labels(dataset_dir):
        return None
    shards = [shard for split in info.splits.values() for shard in split.shards]
    is_whole = all(_size(os.path.join(dataset_dir, s.file)) == s.bytes for s in shards)
    return info if is_whole else None


def is_complete(dataset_dir: str) -> bool:
    """Says whether `read_complete` finds a finished conversion."""
    return read_complete(dataset_dir) is not None


def write_label_file(labels_to_names: Mapping[int, str], dataset_dir: str) -> None:
    """Writes labels.txt, one line `label:name` for each class."""
    lines = (f"{label}:{name}\n" for label, name in labels_to_names.items())
    path = os.path.join(dataset_dir, LABELS_FILE_NAME)
    _paths.write_atomically(path, "".join(lines).encode())


def has_labels(dataset_dir: str) -> bool:
    """Says whether the directory has a labels.txt."""
    return os.path.isfile(os.path.join(dataset_dir, LABELS_FILE_NAME))


def read_label_file(dataset_dir: str) -> dict[int, str]:
    """Returns label -> name from labels.txt. Labels may be missing.

    Raises:
      UserError: if a line is not `label:name` with a label below `MAX_CLASSES`, or a label is there
        twice; names file and line.
    """
    path = os.path.join(dataset_dir, LABELS_FILE_NAME)
    labels_to_names: dict[int, str] = {}
    for number, line in _files.read_text_lines(path):
        label, name, problem = _parse_label(line)
        if not problem and label in labels_to_names:
            problem = f"has the label {label} again"
        if problem:
            raise _checks.UserError(
                f"{path}, line {number}: {line.strip()[:100]!r} {problem}."
                " Correct the file, or convert the dataset again"
            )
        labels_to_names[label] = name
    return labels_to_names


def _parse_label(line: str) -> tuple[int, str, str]:
    """Returns label and name of a line, and what is wrong with it or an empty string."""
    digits, colon, name = line.partition(":")
    digits = digits.strip()
    if not colon or not (digits.isascii() and digits.isdigit()):
        return 0, "", "is not of the form label:name"
    if len(digits.lstrip("0")) > len(str(MAX_CLASSES)) or int(digits) >= MAX_CLASSES:
        return 0, "", f"has a label that is not below {MAX_CLASSES}"
    if not name or _CONTROLS.search(name):
        return 0, "", "has no name, or one with control characters"
    return int(digits), name, ""


def _from_json(fields: dict[str, Any]) -> DatasetInfo:
    splits = {
        name: SplitInfo(
            num_samples=split["num_samples"],
            per_class=tuple(split["per_class"]),
            shards=tuple(ShardInfo(**shard) for shard in split["shards"]),
        )
        for name, split in fields["splits"].items()
    }
    return DatasetInfo(
        name=fields["name"],
        classes=tuple(fields["classes"]),
        num_channels=fields["num_channels"],
        splits=splits,
        source=fields.get("source", ""),
        attribution=fields.get("attribution", ""),
        num_bad_files=fields.get("num_bad_files", 0),
        options=dict(fields.get("options", {})),
        source_files=dict(fields.get("source_files", {})),
    )


def _problem(info: DatasetInfo) -> str:
    """Returns what is wrong with the numbers or names, or an empty string."""
    if not info.classes or len(set(info.classes)) != len(info.classes):
        return "classes must be distinct names, at least one"
    for name, split in info.splits.items():
        if sum(split.per_class) != split.num_samples or len(split.per_class) != len(info.classes):
            return f"per_class of split {name!r} does not add up to its num_samples"
        if sum(shard.num_samples for shard in split.shards) != split.num_samples:
            return f"the shards of split {name!r} do not add up to its num_samples"
        for shard in split.shards:
            if os.path.basename(shard.file) != shard.file or shard.file in ("", ".", ".."):
                return f"shard {shard.file!r} is not a plain file name"
    return ""


def _bad(path: str, reason: str) -> _checks.UserError:
    return _checks.UserError(
        f"{path} cannot be used: {reason}. Convert the dataset again, or remove the file to read"
        " the records without it"
    )


def _size(path: str) -> int:
    try:
        return os.path.getsize(path)
    except OSError:
        return -1
