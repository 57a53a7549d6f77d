"""How much a process has read, as Linux counts it."""

import os

import pytest

COUNTS = "/proc/self/io"
counted = pytest.mark.skipif(not os.path.exists(COUNTS), reason="Linux says what was read")


def so_far() -> int:
    """Returns the bytes that this process has asked files for, from the disk or not."""
    with open(COUNTS, encoding="ascii") as file:
        return int(file.readline().removeprefix("rchar:"))
