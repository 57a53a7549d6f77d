"""A part of a file reads like the bytes that it holds, a few at a time."""

import os
import random

import pytest

from slim import _files
from slim._file_ranges import FileRange
from tests import disk_reads

SIZE = 700_000  # more than two blocks
BEGIN = 1_000


@pytest.fixture(scope="module")
def content():
    data = bytearray(random.Random(0).randbytes(SIZE))
    for at in (0, 4_094, 300_000, (256 << 10) - 1, SIZE - 3):  # also across pages and blocks
        data[at : at + 3] = b"TXt"
    return bytes(data)


@pytest.fixture
def view(content, tmp_path):
    (tmp_path / "file").write_bytes(b"TXt" + bytes(BEGIN - 3) + content + b"TXt")
    with _files.open_regular(tmp_path / "file") as file:
        yield FileRange(file, BEGIN, SIZE)


def test_slices_and_bytes_are_the_same(view, content):
    assert len(view) == SIZE
    rng = random.Random(1)
    for _ in range(2_000):
        begin = rng.randrange(SIZE)
        end = begin + rng.choice((0, 1, 4, 100, 5_000, SIZE))
        assert view[begin:end] == content[begin:end]
        assert view[begin] == content[begin]
    assert view[:] == content
    assert view[SIZE:] == view[9:3] == b""
    assert view.part(5, 4_096)[2:] == content[7:4_096]


@pytest.mark.parametrize("at", [-1, SIZE])
def test_byte_outside_is_an_error(view, at):
    with pytest.raises(IndexError, match=f"byte {at} of {SIZE}"):
        view[at]


@pytest.mark.parametrize("part", [b"\xff", b"TXt", b"\xff\xda", b"absent"])
def test_searching_is_the_same(view, content, part):
    assert view.count(part) == content.count(part)
    starts = (0, 1, 4_094, 4_095, 299_999, 300_001, SIZE - 3, SIZE - 2, SIZE, SIZE + 9)
    assert [view.find(part, at) for at in starts] == [content.find(part, at) for at in starts]


@disk_reads.counted
def test_a_byte_costs_a_page(view):
    before = disk_reads.so_far()
    for at in (0, 1, 2, 3_000, 500_000, 500_001):
        assert view[at : at + 2]
    assert disk_reads.so_far() - before < 3 * 4_096


def test_a_file_that_becomes_shorter_is_an_error(view, tmp_path):
    os.truncate(tmp_path / "file", BEGIN + 10)
    assert len(view[:10]) == 10
    with pytest.raises(OSError, match="truncated while it was read"):
        view[5_000]
