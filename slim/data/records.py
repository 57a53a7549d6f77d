"""The TFRecord container, seen without TensorFlow: how many records a file has, and whether it is
whole.

A record is its length (8 bytes, little endian), a checksum of the length (4), the data and a
checksum of the data (4). Walking from length to length counts the records without reading them.
"""

import functools
import os
import struct
from collections.abc import Sequence
from concurrent import futures

from slim import _checks

_HEADER = struct.Struct("<QI")
_FOOTER_BYTES = 4
_WALKERS = 16  # files walked side by side, for disks that are far away
REPAIR = "re-copy or rebuild this shard"


def count_records(path: str) -> int:
    """Returns the number of records in a TFRecord file.

    Args:
      path: an uncompressed TFRecord file.

    Raises:
      UserError: if the file is empty, is cut inside a record or is no TFRecord file; the message
        names it.
    """
    size = os.path.getsize(path)
    if size == 0:
        raise _checks.UserError(f"Shard {path} is empty (0 bytes): {REPAIR}")
    count, end = _walk(path, size)
    if end != size:
        raise _checks.UserError(
            f"Shard {path} is cut inside record {count}, or is no TFRecord file"
            f" ({size} bytes): {REPAIR}"
        )
    return count


def check_lengths(paths: Sequence[str]) -> None:
    """Refuses files in which a record is longer than what is left of the file.

    TensorFlow's reader asks for as much memory as a record's length says before it reads on, and
    the process ends if there is not so much. Empty files pass: they have no lengths.

    Args:
      paths: uncompressed TFRecord files. Those that have not changed since the last call are not
        looked at again.

    Raises:
      RunError: if a file is cut inside a record or is no TFRecord file; the message names it.
    """
    with futures.ThreadPoolExecutor(_WALKERS) as pool:
        for _ in pool.map(_check_lengths, paths):
            pass


def _check_lengths(path: str) -> None:
    status = os.stat(path)
    if status.st_size:
        try:
            _count_unchanged(path, status.st_size, status.st_mtime_ns)
        except _checks.UserError as cut:
            raise _checks.RunError(str(cut)) from None


@functools.lru_cache(maxsize=100_000)
def _count_unchanged(path: str, _size: int, _changed: int) -> int:
    return count_records(path)


def count_whole_records(path: str) -> int:
    """Returns how many records lie whole in a file, before what is cut or has a wrong length."""
    return _walk(path, os.path.getsize(path))[0]


def read_record(path: str, number: int) -> bytes:
    """Returns one record of a whole TFRecord file, found by walking over those before it.

    Raises:
      ValueError: if the file has no such record.
    """
    with open(path, "rb") as file:
        for before in range(number + 1):
            header = file.read(_HEADER.size)
            if len(header) < _HEADER.size:
                raise ValueError(f"number={number}: {path} has {before} records")
            size = _HEADER.unpack(header)[0]
            if before < number:
                file.seek(size + _FOOTER_BYTES, os.SEEK_CUR)
        return file.read(size)


def _walk(path: str, size: int) -> tuple[int, int]:
    """Returns the number of whole records and the place where the last of them ends."""
    count = end = 0
    with open(path, "rb") as file:
        while end < size:
            file.seek(end)
            header = file.read(_HEADER.size)
            if len(header) < _HEADER.size:
                break
            after = end + _HEADER.size + _HEADER.unpack(header)[0] + _FOOTER_BYTES
            if after > size:
                break
            end = after
            count += 1
    return count, end
