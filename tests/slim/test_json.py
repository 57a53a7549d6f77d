"""Reading JSON by a schema: invalid content is an error of one printable line."""

import dataclasses
import json
import os
from collections.abc import Mapping
from typing import Annotated, Literal

import msgspec
import pytest

from slim import _checks, _json


@dataclasses.dataclass(frozen=True)
class Part:
    n: int

    def __post_init__(self):
        if self.n == 13:
            raise ValueError("n is unlucky")


@dataclasses.dataclass(frozen=True)
class Record:
    count: Annotated[int, msgspec.Meta(ge=1)]
    names: tuple[str, ...] = ()
    size: tuple[int, int] = (1, 1)
    flag: bool = False
    code: Annotated[str, msgspec.Meta(min_length=1, max_length=3)] = "a"
    share: Annotated[float, msgspec.Meta(lt=1)] | None = None
    parts: Mapping[str, Part] = dataclasses.field(default_factory=dict)
    kind: Literal[1, 3] = 1


def test_unknown_keys_are_ignored_and_missing_ones_take_the_default():
    assert _json.decode(b'{"count": 2, "later": [1]}', Record) == Record(2)


@pytest.mark.parametrize(
    "content, message",
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"{}", "the key 'count' is missing"),
        (b"[]", r"the content is \[\], expected an object"),
        (b"null", "the content is null, expected an object"),
        (b'{"count": 0}', "count is 0, expected a whole number of at least 1"),
        (b'{"count": true}', "count is true, expected a whole number"),
        (b'{"count": 1.0}', r"count is 1\.0, expected a whole number"),
        (b'{"count": "1"}', 'count is "1", expected a whole number'),
        (b'{"count": 1%s}' % (b"0" * 100), "a number of over 60 digits is too large"),
        (b'{"count": 1, "flag": "no"}', 'flag is "no", expected true or false'),
        (b'{"count": 1, "names": "abc"}', 'names is "abc", expected a list'),
        (b'{"count": 1, "names": ["a", 5]}', r"names\.1 is 5, expected a string"),
        (b'{"count": 1, "names": "\\u001b[2J"}', r'names is "\\u001b\[2J", expected a list'),
        (b'{"count": 1, "names": 5%s}' % (b"5" * 59), r"5{60} is too large"),
        (b'{"count": 1, "size": [1]}', r"size is \[1\], expected a list of 2 items"),
        (b'{"count": 1, "code": "abcd"}', 'code is "abcd", expected a string with at most 3 char'),
        (b'{"count": 1, "code": ""}', 'code is "", expected a string with at least 1 character'),
        (b'{"count": 1, "share": 1}', "share is 1, expected a number below 1.0"),
        (
            b'{"count": 1, "parts": {"a": {"n": 1}, "b": {"n": "x"}, "c": {"n": "y"}}}',
            r'parts\.b\.n is "x", expected a whole number',
        ),
        (b'{"count": 1, "parts": {"a": {"n": 1}, "b": {}}}', r"the key 'parts\.b\.n' is missing"),
        (b'{"count": 1, "parts": {"a": {"n": 13}}}', r"parts\.a: n is unlucky"),
        (b'{"count": 1, "kind": 2}', "kind is 2, expected one of the known values"),
        (b'{"count": 1, "names": 1, "names": []}', 'the key "names" occurs more than once'),
        (b'{"count": 1, "later": "\\ud800"}', r'"\\ud800" is not valid Unicode'),
        (b'{"count": 1, "\\udcff": 1}', r'"\\udcff" is not valid Unicode'),
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
    with pytest.raises(_checks.UserError, match=message) as error:
        _json.read(path, Record, advice="Restore it.")
    text = str(error.value)
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


def test_error_in_a_large_mapping_is_located_in_linear_time():
    parts = {f"part {n}": {"n": 1} for n in range(50_000)} | {"last": {"n": "x"}}
    content = json.dumps({"count": 1, "parts": parts}).encode()
    with pytest.raises(ValueError, match=r'parts\.last\.n is "x"'):
        _json.decode(content, Record)


def test_non_finite_numbers_are_read_where_allowed():
    assert _json.decode(b"[NaN, -Infinity]", list[float], finite=False)[1] == float("-inf")


def test_paths_that_are_not_utf_8_are_read():
    assert _json.decode(b'["\\udcff"]', list[str]) == [os.fsdecode(b"\xff")]


def test_endless_line_is_read_in_bounded_pieces(tmp_path):
    (tmp_path / "records.jsonl").write_bytes(b" " * (_json.MAX_LINE_BYTES + 1))
    sizes = [len(line) for line in _json.raw_lines(tmp_path / "records.jsonl")]
    assert sizes == [_json.MAX_LINE_BYTES, 1]
    assert list(_json.read_lines(tmp_path / "records.jsonl", Record)) == []
    assert len(list(_json.raw_lines(tmp_path / "records.jsonl", max_bytes=1))) == 1


def test_printable_escapes_terminal_controls():
    assert _json.printable("a\x1b[2Jb\n\u202ec") == "a\\x1b[2Jb\\n\\u202ec"
    assert _json.printable("Käse 猫") == "Käse 猫"
