"""Reads the JSON files that this project writes, by a schema; no TensorFlow here.

A schema is a frozen dataclass, or any type that `msgspec` knows, with bounds as
`Annotated[int, msgspec.Meta(ge=0)]`. Unknown keys are ignored, for a later version may have
written them; known ones have to have their type exactly.
"""

import json
import math
import os
from collections.abc import Iterator
from typing import Any, TypeVar

import msgspec

from slim import _checks, _files

T = TypeVar("T")

MAX_BYTES = 64 << 20
_MAX_DEPTH = 64


def read(
    path: str | os.PathLike[str], schema: type[T], *, advice: str, max_bytes: int = MAX_BYTES
) -> T | None:
    """Returns the content of a JSON file, or None if there is no such file.

    Args:
      path: the file.
      schema: the type of its content.
      advice: what to do if it cannot be used; ends the message.
      max_bytes: the largest size to accept.

    Raises:
      UserError: if it cannot be read or does not fit the schema; names file, key and value's type.
    """
    try:
        content = _files.read_bounded(path, max_bytes)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _unusable(path, str(error.strerror), advice) from None
    try:
        return decode(content, schema)
    except ValueError as error:
        raise _unusable(path, str(error), advice) from None


def decode(content: bytes, schema: type[T]) -> T:
    """Returns JSON text as a value of the schema's type.

    Raises:
      ValueError: if it does not fit; the text says where and why, in one printable line.
    """
    try:
        values = json.loads(content.decode("utf-8"), parse_constant=_reject_constant)
        _check_bounds(values)
        return msgspec.convert(values, schema)
    except RecursionError:
        raise ValueError(f"nested deeper than {_MAX_DEPTH} levels") from None
    except UnicodeDecodeError:
        raise ValueError("not UTF-8") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON: {error}") from None
    except msgspec.ValidationError as error:
        raise ValueError(printable(str(error))) from None


def read_lines(
    path: str | os.PathLike[str], schema: type[T], *, max_bytes: int = 16 * MAX_BYTES
) -> Iterator[T]:
    """Yields the values of a file with one JSON value a line, up to the first damaged line.

    A file that was cut by a crash or a full disk is so read as far as it is intact.

    Raises:
      OSError: if it cannot be read.
    """
    with _files.open_regular(path) as file:
        read_bytes = 0
        while line := file.readline(MAX_BYTES):
            read_bytes += len(line)
            if not line.endswith(b"\n") or read_bytes > max_bytes:
                return
            try:
                yield decode(line, schema)
            except ValueError:
                return


def printable(text: str) -> str:
    """Returns text without characters that move a terminal's cursor or end a line."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _reject_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a JSON number")


def _check_bounds(value: Any, depth: int = 0) -> None:
    if depth > _MAX_DEPTH:
        raise RecursionError
    if isinstance(value, dict):
        for each in value.values():
            _check_bounds(each, depth + 1)
    elif isinstance(value, list):
        for each in value:
            _check_bounds(each, depth + 1)
    elif isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{value} is not a finite number")  # such as 1e999


def _unusable(path: str | os.PathLike[str], reason: str, advice: str) -> _checks.UserError:
    return _checks.UserError(f"{printable(os.fspath(path))} cannot be used: {reason}. {advice}")
