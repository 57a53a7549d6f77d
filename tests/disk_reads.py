"""The number of bytes that this process has read (Linux)."""

import os

import pytest

COUNTS = "/proc/self/io"
counted = pytest.mark.skipif(not os.path.exists(COUNTS), reason="needs /proc/self/io")


def so_far() -> int:
    """Returns the number of bytes read from files so far, cached or not."""
    with open(COUNTS, encoding="ascii") as file:
        return int(file.readline().removeprefix("rchar:"))
