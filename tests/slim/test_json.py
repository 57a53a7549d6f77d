"""Reading JSON by a schema: one printable line for whatever does not fit."""

import dataclasses
import json
import os
from typing import Annotated

import msgspec
import pytest

from slim import _checks, _json


@dataclasses.dataclass(frozen=True)
class Record:
    count: Annotated[int, msgspec.Meta(ge=1)]
    names: tuple[str, ...] = ()
    size: tuple[int, int] = (1, 1)
    flag: bool = False


def test_unknown_keys_are_ignored_and_missing_ones_take_the_default():
    assert _json.decode(b'{"count": 2, "later": [1]}', Record) == Record(2)


@pytest.mark.parametrize(
    "content, message",
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"{}", "missing required field `count`"),
        (b"[]", r"Expected `object`, got `array`"),
        (b"null", r"Expected `object`, got `null`"),
        (b'{"count": 0}', r"Expected `int` >= 1 - at `\$.count`"),
        (b'{"count": true}', r"Expected `int`, got `bool`"),
        (b'{"count": 1.0}', r"Expected `int`, got `float`"),
        (b'{"count": "1"}', r"Expected `int`, got `str`"),
        (b'{"count": 1, "flag": "no"}', r"Expected `bool`, got `str` - at `\$.flag`"),
        (b'{"count": 1, "names": "abc"}', r"Expected `array`, got `str` - at `\$.names`"),
        (b'{"count": 1, "size": [1]}', r"Expected `array` of length 2, got 1"),
        (b'{"count": NaN}', "NaN is not a JSON number"),
        (b'{"count": -Infinity}', "-Infinity is not a JSON number"),
        (b'{"count": 1e999}', "inf is not a finite number"),
        (b'{"count": 1%s}' % (b"0" * 5000), "4300 digits"),
        (b"[" * 100_000, "nested deeper than 64 levels"),
        (b'{"later": ' + b"[" * 70 + b"]" * 70 + b"}", "nested deeper than 64 levels"),
        (b'{"count": "\xff"}', "not UTF-8"),
        (b'\xff\xfe{"count": 1}', "not UTF-8"),
    ],
)
def test_invalid_content_is_an_error_of_one_printable_line(tmp_path, content, message):
    path = tmp_path / "record.json"
    path.write_bytes(content)
    with pytest.raises(_checks.UserError, match=message) as caught:
        _json.read(path, Record, advice="Restore it.")
    text = str(caught.value)
    assert text.startswith(f"{path} cannot be used: ")
    assert text.endswith(". Restore it.")
    assert text.isprintable()


def test_missing_file_is_none(tmp_path):
    assert _json.read(tmp_path / "record.json", Record, advice="") is None


def test_special_and_oversized_files_are_errors(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "large").write_bytes(b" " * 101)
    for name, message in (
        ("fifo", r"not a regular file \(a FIFO\)"),
        ("", r"not a regular file \(a directory\)"),
        ("large", "larger than 100 bytes"),
    ):
        with pytest.raises(_checks.UserError, match=message):
            _json.read(tmp_path / name, Record, advice="", max_bytes=100)


def test_lines_are_read_up_to_the_first_damaged_one(tmp_path):
    path = tmp_path / "records.jsonl"
    lines = [json.dumps({"count": count}) for count in (1, 2, 3)]
    path.write_text("\n".join(lines))  # the last line has no end
    assert [record.count for record in _json.read_lines(path, Record)] == [1, 2]
    path.write_text("\n".join([lines[0], "{", *lines[1:], ""]))
    assert [record.count for record in _json.read_lines(path, Record)] == [1]


def test_printable_escapes_terminal_controls():
    assert _json.printable("a\x1b[2Jb\n\u202ec") == "a\\x1b[2Jb\\n\\u202ec"
    assert _json.printable("Käse 猫") == "Käse 猫"
