"""Reads slim's JSON files according to a schema; no TensorFlow here.

A schema is a frozen dataclass, or another type that `msgspec` supports, with bounds such as
`Annotated[int, msgspec.Meta(ge=0)]`. Unknown keys are ignored, since a later version may have
written them; known keys must have exactly their type. Messages are in `slim._json_errors`.
"""

import collections
import json
import math
import os
from collections.abc import Iterable, Iterator
from typing import Annotated, Any, TypeVar

import msgspec

from slim import _checks, _files, _json_errors

T = TypeVar("T")
printable = _json_errors.printable

Name = Annotated[str, msgspec.Meta(max_length=1000)]
# Products of larger counts could overflow.
Count = Annotated[int, msgspec.Meta(ge=0, le=1 << 48)]
Step = Annotated[int, msgspec.Meta(ge=0, le=1 << 40)]

MAX_BYTES = 32 << 20  # nested lists of this size take about 700 MB of memory
MAX_LINE_BYTES = 4 << 20
_MAX_DEPTH = 64


def read(
    path: str | os.PathLike[str],
    schema: type[T],
    *,
    advice: str,
    max_bytes: int = MAX_BYTES,
    finite: bool = True,
) -> T | None:
    """Returns the content of a JSON file, or None if there is no such file.

    Args:
      path: the file.
      schema: the type of its content.
      advice: what to do if the file cannot be used; the end of the message.
      max_bytes: maximum size of the file.
      finite: whether NaN and infinity are errors.

    Raises:
      UserError: if it cannot be read or does not match the schema; the message names the file, key
        and value.
    """
    try:
        content = _files.read_bounded(path, max_bytes)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _unusable(path, str(error.strerror), advice) from None
    try:
        return decode(content, schema, finite=finite)
    except ValueError as error:
        raise _unusable(path, str(error), advice) from None


def decode(content: bytes, schema: type[T], *, finite: bool = True) -> T:
    """Returns JSON text as a value of the schema's type.

    Args:
      content: the text.
      schema: the type.
      finite: whether NaN and infinity are errors.

    Raises:
      ValueError: if it does not match; the message is one printable line, with the key and reason.
    """
    reject = _reject_constant if finite else None
    try:
        values = json.loads(
            content.decode("utf-8"), parse_constant=reject, object_pairs_hook=_without_duplicates
        )
        _check_bounds(values, finite)
    except RecursionError:
        raise ValueError(f"nested deeper than {_MAX_DEPTH} levels") from None
    except UnicodeDecodeError:
        raise ValueError("not UTF-8") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON: {error}") from None
    try:
        return msgspec.convert(values, schema)
    except msgspec.ValidationError as error:
        raise ValueError(_json_errors.explain(error, values, schema)) from None


def read_lines(path: str | os.PathLike[str], schema: type[T]) -> Iterator[T]:
    """Yields the values of a file with one JSON value per line, up to the first damaged line.

    Raises:
      OSError: if it cannot be read.
    """
    for line in raw_lines(path):
        value = decode_line(line, schema)
        if value is None:
            return
        yield value


def raw_lines(
    path: str | os.PathLike[str], *, start: int = 0, max_bytes: int = 1 << 30
) -> Iterator[bytes]:
    """Yields the lines of a file with their ends; longer ones than `MAX_LINE_BYTES` in pieces.

    Args:
      path: the file.
      start: the first byte to read, at the beginning of a line.
      max_bytes: maximum number of bytes to read.

    Raises:
      OSError: if it cannot be read.
    """
    with _files.open_regular(path) as file:
        file.seek(start)
        read_bytes = 0
        while read_bytes < max_bytes and (line := file.readline(MAX_LINE_BYTES)):
            read_bytes += len(line)
            yield line


def decode_line(line: bytes, schema: type[T], *, finite: bool = True) -> T | None:
    """Returns the value of a line, or None if it does not match the schema or has no end."""
    if not line.endswith(b"\n"):
        return None
    try:
        return decode(line, schema, finite=finite)
    except ValueError:
        return None


def check_names(key: str, names: Iterable[str]) -> None:
    """Raises UserError for names that cannot be encoded as UTF-8."""
    for name in names:
        try:
            name.encode()
        except UnicodeEncodeError:
            text = _json_errors.shown(name)
            raise _checks.UserError(f"{key} has {text}, which is not valid Unicode") from None


def _reject_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a JSON number")


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        counts = collections.Counter(key for key, _ in pairs)
        key = counts.most_common(1)[0][0]
        raise ValueError(f"the key {_json_errors.shown(key)} occurs more than once")
    return values


def _check_bounds(value: Any, finite: bool, depth: int = 0) -> None:
    if depth > _MAX_DEPTH:
        raise RecursionError
    if isinstance(value, dict):
        for key, each in value.items():
            _check_text(key, "strict")
            _check_bounds(each, finite, depth + 1)
    elif isinstance(value, list):
        for each in value:
            _check_bounds(each, finite, depth + 1)
    elif isinstance(value, str):
        _check_text(value)
    elif isinstance(value, int) and value.bit_length() > 63:
        raise ValueError(f"{_json_errors.shown(value)} is too large")
    elif finite and isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{value} is not a finite number")  # such as 1e999


def _check_text(text: str, errors: str = "surrogateescape") -> None:
    """Raises for lone surrogates; values may be paths, with bytes that are not UTF-8."""
    try:
        text.encode("utf-8", errors)
    except UnicodeEncodeError:
        raise ValueError(f"{_json_errors.shown(text)} is not valid Unicode") from None


def _unusable(path: str | os.PathLike[str], reason: str, advice: str) -> _checks.UserError:
    return _checks.UserError(f"{printable(os.fspath(path))} cannot be used: {reason}. {advice}")
