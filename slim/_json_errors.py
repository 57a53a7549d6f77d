"""Messages for JSON that does not match a schema: the key, its value and what is expected."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

_TYPES = {
    "int": "a whole number",
    "float": "a number",
    "str": "a string",
    "bool": "true or false",
    "array": "a list",
    "object": "an object",
    "null": "null",
}
_BOUNDS = (
    (r" of length >= (\S+)", r" with at least \1 UNITs"),
    (r" of length <= (\S+)", r" with at most \1 UNITs"),
    (r" of length (\S+), got \d+", r" of \1 UNITs"),
    (r" of at least length (\S+), got \d+", r" of at least \1 UNITs"),
    (r" >= (\S+)", r" of at least \1"),
    (r" <= (\S+)", r" of at most \1"),
    (r" > (\S+)", r" above \1"),
    (r" < (\S+)", r" below \1"),
    (r" matching regex (.*)", r" of the form \1"),
)
_MAX_SHOWN = 60
_ANY_KEY = "..."


def explain(error: msgspec.ValidationError, values: Any, schema: Any) -> str:
    """Returns the message for a validation error, one printable line.

    Args:
      error: raised by `msgspec.convert(values, schema)`.
      values: the result of `json.loads`.
      schema: the type that they do not match.
    """
    reason, _, place = str(error).rpartition(" - at `$")
    if not reason:
        reason, place = str(error), ""
    path = re.findall(r"\.\w+|\[\d+\]|\[\.\.\.\]", place.rstrip("`"))
    keys = list(_keys(path, values, schema))
    where = ".".join(str(key) for key in keys)
    missing = re.fullmatch(r"Object missing required field `(.*)`", reason)
    if missing:
        name = f"{where}.{missing[1]}" if where else missing[1]
        return printable(f"the key {name!r} is missing")
    if not re.match(r"Expected|Invalid|Integer|Number", reason):  # raised by `__post_init__`
        return printable(f"{where}: {reason}" if where else reason)
    value = values
    for key in keys:
        value = value[key]
    expected = _in_words(reason, "character" if isinstance(value, str) else "item")
    return printable(f"{where or 'the content'} is {shown(value)}, {expected}")


def shown(value: Any) -> str:
    """Returns a value as JSON in one printable line, shortened."""
    if isinstance(value, (list, dict)) and len(value) > _MAX_SHOWN:
        kind = "a list" if isinstance(value, list) else "an object"
        return f"{kind} of {len(value)} items"
    if isinstance(value, str):
        value = value[: _MAX_SHOWN + 1]
    if isinstance(value, int) and value.bit_length() > 200:
        return "a number of over 60 digits"
    text = printable(json.dumps(value, ensure_ascii=False))
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}..."


def printable(text: str) -> str:
    """Returns text with characters escaped that move a terminal's cursor or end a line."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _in_words(reason: str, unit: str) -> str:
    match = re.match(r"Expected `([^`]*)`(.*)", reason)
    if match is None:
        return "expected one of the known values" if "enum" in reason else "out of range"
    types, rest = match.groups()
    rest = "" if re.match(r", got `", rest) else rest
    for pattern, words in _BOUNDS:
        rest, count = re.subn(pattern, words, rest)
        if count:
            break
    rest = re.sub(r"\b1 UNITs", f"1 {unit}", rest).replace("UNIT", unit)
    return f"expected {' or '.join(_TYPES.get(t, t) for t in types.split(' | '))}{rest}"


def _keys(path: list[str], values: Any, schema: Any) -> Iterator[str | int]:
    """Yields the keys and indices of a path, with the keys of mappings that msgspec omits."""
    value = values
    walked: list[str | int] = []
    for part in path:
        key: str | int = int(part[1:-1]) if part[1:-1].isdigit() else part[1:]
        if part == f"[{_ANY_KEY}]":
            if not isinstance(value, dict):
                return
            key = _first_bad_key(walked, value, values, schema)
        walked.append(key)
        yield key
        value = value[key]


def _first_bad_key(
    walked: list[str | int], mapping: Mapping[str, Any], values: Any, schema: Any
) -> str:
    """Returns the first key with an invalid value, by bisection of the mapping at a path."""
    keys = list(mapping)
    while len(keys) > 1:
        half = keys[: len(keys) // 2]
        part = {key: mapping[key] for key in half}
        keys = keys[len(half) :] if _fits(_replaced(values, walked, part), schema) else half
    return keys[0]


def _replaced(values: Any, path: list[str | int], part: Any) -> Any:
    if not path:
        return part
    copy = values.copy()
    copy[path[0]] = _replaced(values[path[0]], path[1:], part)
    return copy


def _fits(values: Any, schema: Any) -> bool:
    try:
        msgspec.convert(values, schema)
    except msgspec.ValidationError:
        return False
    return True
