"""Files of class names: labels.txt, one name per line, or label_map.pbtxt. No TensorFlow.

`label_map.pbtxt` is the text format of `StringIntLabelMap` of TensorFlow's object detection API.
"""

import collections
import functools
import os
import re
from typing import Any

from datasets import dataset_info
from slim import _checks, _files, _json

LABEL_MAP_NAME = "label_map.pbtxt"
_MAX_BYTES = 16 << 20
_LABELS_FILE = re.compile(r".*\.pbtxt|.*(?:label|class|categor|names).*\.txt", re.I)
_NUMBERED = re.compile(r"\s*\d+:")


_LABEL_MAP = """
name: "label_map" syntax: "proto2"
message_type {
  name: "Map"
  field { name: "item" number: 1 type: TYPE_MESSAGE type_name: "Item" label: LABEL_REPEATED }
}
message_type {
  name: "Item"
  field { name: "name" number: 1 type: TYPE_STRING label: LABEL_OPTIONAL }
  field { name: "id" number: 2 type: TYPE_INT64 label: LABEL_OPTIONAL }
  field { name: "display_name" number: 3 type: TYPE_STRING label: LABEL_OPTIONAL }
  field { name: "keypoints" number: 4 type: TYPE_MESSAGE type_name: "Point" label: LABEL_REPEATED }
  field { name: "ancestor_ids" number: 5 type: TYPE_INT64 label: LABEL_REPEATED }
  field { name: "descendant_ids" number: 6 type: TYPE_INT64 label: LABEL_REPEATED }
  field { name: "frequency" number: 7 type: TYPE_ENUM type_name: "Rate" label: LABEL_OPTIONAL }
  field { name: "instance_count" number: 8 type: TYPE_INT64 label: LABEL_OPTIONAL }
}
message_type {
  name: "Point"
  field { name: "id" number: 1 type: TYPE_INT64 label: LABEL_OPTIONAL }
  field { name: "label" number: 2 type: TYPE_STRING label: LABEL_OPTIONAL }
}
enum_type {
  name: "Rate"
  value { name: "UNSPECIFIED" number: 0 }
  value { name: "FREQUENT" number: 1 }
  value { name: "COMMON" number: 2 }
  value { name: "RARE" number: 3 }
}
"""


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
        raise _checks.UserError(f"{path} has no class names")
    repeated = [name for name, count in collections.Counter(names.values()).items() if count > 1]
    if unique and repeated:
        raise _checks.UserError(f"{path} has the name {repeated[0]!r:.100} more than once")
    unprintable = next((name for name in names.values() if not name.isprintable()), None)
    if unprintable is not None:
        raise _checks.UserError(f"{path} has {unprintable!r:.100}, a name with control characters")
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
    from google.protobuf import text_format  # only here, since it takes a while to load

    try:
        text = _files.read_bounded(path, _MAX_BYTES).decode("utf-8-sig")
    except OSError as error:
        raise _checks.UserError(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise _checks.UserError(f"{path} is not UTF-8 text; save the file as UTF-8") from None
    try:
        items = text_format.Parse(text, _label_map_class()()).item
    except (ValueError, text_format.ParseError, RecursionError) as error:
        reason = _json.printable(str(error))[:200]
        raise _checks.UserError(f"{path} is not a label map: {reason}") from None
    names: dict[int, str] = {}
    for number, item in enumerate(items, 1):
        name = item.display_name or item.name
        if not (name and item.HasField("id") and 0 <= item.id < dataset_info.MAX_CLASSES):
            raise _checks.UserError(
                f"{path}, item {number}: it needs a name and an id from 0 to"
                f" {dataset_info.MAX_CLASSES - 1}"
            )
        if item.id in names:
            raise _checks.UserError(f"{path}, item {number}: it repeats the id {item.id}")
        names[item.id] = name
    return names


@functools.cache
def _label_map_class() -> Any:
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format

    pool = descriptor_pool.DescriptorPool()
    pool.Add(text_format.Parse(_LABEL_MAP, descriptor_pb2.FileDescriptorProto()))
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("Map"))
