"""Files of class names: labels.txt, one name per line, or label_map.pbtxt. No TensorFlow.

`label_map.pbtxt` is the text format of `StringIntLabelMap` of TensorFlow's object detection API.
"""

import collections
import os
import re
from collections.abc import Iterator

from datasets import dataset_info
from slim import _checks, _files

LABEL_MAP_NAME = "label_map.pbtxt"
_MAX_BYTES = 64 << 20
_LABELS_FILE = re.compile(r".*\.pbtxt|.*(?:label|class|categor|names).*\.txt", re.I)
_NUMBERED = re.compile(r"\s*\d+:")
_TEXT = r"\"(?:[^\"\\\n]|\\.)*\"|'(?:[^'\\\n]|\\.)*'"
_TOKEN = re.compile(rf"\s*({_TEXT}|[A-Za-z_]\w*|-?[\d.]+|#[^\n]*|[{{}}:,;])")
_ESCAPE = re.compile(r"\\([0-7]{1,3}|.)")


def read(path: str, *, unique: bool = False) -> dict[int, str]:
    """Returns label -> name of a file of class names.

    Args:
      path: lines `label:name` (labels.txt), a name per line, or `*.pbtxt`.
      unique: whether names must be unique; ImageNet has two classes "crane".

    Raises:
      UserError: if it cannot be read or has another form, no names, a label twice, or with `unique`
        a name twice.
    """
    if path.endswith(".pbtxt"):
        names = _read_label_map(path)
    else:
        lines = list(_files.read_text_lines(path))
        if any(_NUMBERED.match(line) for _, line in lines):
            names = dataset_info.read_label_file(*os.path.split(path))
        else:
            names = {label: line.strip() for label, (_, line) in enumerate(lines)}
    if not names:
        raise _checks.UserError(f"{path} has no names of classes")
    repeated = [name for name, count in collections.Counter(names.values()).items() if count > 1]
    if unique and repeated:
        raise _checks.UserError(f"{path} has the name {repeated[0]!r} more than once")
    unprintable = next((name for name in names.values() if not name.isprintable()), None)
    if unprintable is not None:
        raise _checks.UserError(f"{path} has {unprintable!r}, a name with control characters")
    return names


def of_directory(directory: str) -> dict[int, str]:
    """Returns label -> name of a directory's labels.txt or label_map.pbtxt; empty without one."""
    for name in (dataset_info.LABELS_FILE_NAME, LABEL_MAP_NAME):
        if os.path.isfile(os.path.join(directory, name)):
            return read(os.path.join(directory, name))
    return {}


def files_in(directory: str) -> list[str]:
    """Returns the sorted names of the files that, by their names, may have class names."""
    return sorted(
        name
        for name in os.listdir(directory)
        if _LABELS_FILE.fullmatch(name) and os.path.isfile(os.path.join(directory, name))
    )


def _read_label_map(path: str) -> dict[int, str]:
    try:
        text = _files.read_bounded(path, _MAX_BYTES).decode("utf-8-sig")
    except OSError as error:
        raise _checks.UserError(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise _checks.UserError(f"{path} is not UTF-8 text; save the file as UTF-8") from None
    names: dict[int, str] = {}
    for number, fields in enumerate(_items(path, text), 1):
        name = fields.get("display_name") or fields.get("name")
        label = fields.get("id", "")
        is_label = label.isascii() and label.isdigit() and len(label) < 10
        if name is None or not is_label or int(label) >= dataset_info.MAX_CLASSES:
            raise _checks.UserError(
                f"{path}, item {number}: it needs a name and an id from 0 to"
                f" {dataset_info.MAX_CLASSES - 1}"
            )
        if int(label) in names:
            raise _checks.UserError(f"{path}, item {number}: it repeats the id {label}")
        names[int(label)] = name
    return names


def _items(path: str, text: str) -> Iterator[dict[str, str]]:
    """Yields the fields of each `item { ... }`; messages in it are skipped."""
    tokens = _tokens(path, text)
    depth, key, fields = 0, "", dict[str, str]()
    for token in tokens:
        if token == "{":
            depth += 1
            key = ""
        elif token == "}":
            depth -= 1
            if depth < 0:
                break
            if not depth:
                yield fields
                fields = {}
        elif token == ":":
            continue
        elif depth == 1 and key:
            fields[key], key = token, ""
        elif token not in ",;":
            key = token
    if depth:
        raise _checks.UserError(f"{path} is not a label map: its braces do not match")


def _tokens(path: str, text: str) -> Iterator[str]:
    at = 0
    text = text.rstrip()
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            line = text.count("\n", 0, at) + 1
            raise _checks.UserError(f"{path}, line {line}: it is not a label map")
        at = match.end()
        token = match.group(1)
        if token[:1] == "#":
            continue
        yield _unquoted(token) if token[0] in "\"'" else token


def _unquoted(token: str) -> str:
    def character(match: re.Match[str]) -> str:
        code = match.group(1)
        return chr(int(code, 8)) if code.isdigit() else {"n": "\n", "t": "\t"}.get(code, code)

    return _ESCAPE.sub(character, token[1:-1])
