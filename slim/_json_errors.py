"""Explains in words why JSON does not fit a schema: which key, what is there, what is expected."""

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
_MOST_SHOWN = 60
_ANY_KEY = "..."


def explain(error: msgspec.ValidationError, values: Any, schema: Any) -> str:
    """Returns what a validation found, in one printable line.

    Args:
      error: what `msgspec.convert(values, schema)` raised.
      values: from `json.loads`.
      schema: the type that they do not fit.
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
    if not re.match(r"Expected|Invalid|Integer|Number", reason):  # of a class's own check
        return printable(f"{where}: {reason}" if where else reason)
    found = values
    for key in keys:
        found = found[key]
    expected = _in_words(reason, "character" if isinstance(found, str) else "item")
    return printable(f"{where or 'the content'} is {shown(found)}, {expected}")


def shown(value: Any) -> str:
    """Returns a value as JSON in one printable line, shortened."""
    if isinstance(value, (list, dict)) and len(value) > _MOST_SHOWN:
        kind = "a list" if isinstance(value, list) else "an object"
        return f"{kind} of {len(value)} items"
    if isinstance(value, str):
        value = value[: _MOST_SHOWN + 1]
    if isinstance(value, int) and value.bit_length() > 200:
        return "a number of over 60 digits"
    text = printable(json.dumps(value, ensure_ascii=False))
    return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}..."


def printable(text: str) -> str:
    """Returns text without characters that move a terminal's cursor or end a line."""
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
    """Yields the keys and indices of a path; msgspec names no key of a mapping."""
    found = values
    walked: list[str | int] = []
    for part in path:
        key: str | int = int(part[1:-1]) if part[1:-1].isdigit() else part[1:]
        if part == f"[{_ANY_KEY}]":
            if not isinstance(found, dict):
                return
            key = _first_bad_key(walked, found, values, schema)
        walked.append(key)
        yield key
        found = found[key]


def _first_bad_key(
    walked: list[str | int], mapping: Mapping[str, Any], values: Any, schema: Any
) -> str:
    """Returns the first key whose value does not fit, by halving the mapping at a path."""
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
