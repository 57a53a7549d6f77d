"""The TFRecord container, seen without TensorFlow: how many records a file has, where they are, and
whether it is whole.

A record is its length (8 bytes, little endian), a checksum of the length (4), the data and a
checksum of the data (4). Walking from length to length finds the records without reading them.
"""

import array
import functools
import os
import stat
import struct
from collections.abc import Sequence
from concurrent import futures

from slim import _checks, _files

_HEADER = struct.Struct("<QI")
_FOOTER_BYTES = 4
_PAGE = 4096  # what a disk gives at least
_WALKERS = 16  # files walked side by side, for disks that are far away
REPAIR = "re-copy or rebuild this shard"


def count_records(path: str) -> int:
    """Returns the number of records in a TFRecord file.

    Args:
      path: an uncompressed TFRecord file.

    Raises:
      UserError: if the file is empty, is cut inside a record or is no TFRecord file, or if it is no
        regular file; the message names it.
    """
    return len(find_records(path)) - 1


def find_records(path: str) -> Sequence[int]:
    """Returns the byte at which each record of a TFRecord file begins, and the file's size.

    Takes and raises what `count_records` does.
    """
    size = _size(path)
    _refuse_empty(path, size)
    places = _walk(path, size)
    if places[-1] != size:
        raise _checks.UserError(
            f"Shard {path} is cut inside record {len(places) - 1}, or is no TFRecord file"
            f" ({size} bytes): {REPAIR}"
        )
    return places


def find_all_records(paths: Sequence[str], counts: Sequence[int | None]) -> list[Sequence[int]]:
    """Returns `find_records` of each file; refuses one with a record longer than what is left.

    TensorFlow's reader asks for as much memory as a record's length says before it reads on, and
    the process ends if there is not so much.

    Args:
      paths: uncompressed TFRecord files. Those that have not changed since the last call are not
        looked at again.
      counts: records of each as recorded, or None where they are not: a file may only be empty with
        a number.

    Raises:
      UserError: if a file whose records are not recorded is empty, or one is no regular file; the
        message names it.
      RunError: if a file is cut inside a record or is no TFRecord file; the message names it.
    """
    with futures.ThreadPoolExecutor(_WALKERS) as pool:
        return list(pool.map(_find_known_records, paths, counts))


def _find_known_records(path: str, count: int | None) -> Sequence[int]:
    _refuse_special(path, status := os.stat(path))
    if count is None:
        _refuse_empty(path, status.st_size)
    if not status.st_size:
        return [0]
    try:
        return _find_unchanged(path, status.st_size, status.st_mtime_ns)
    except _checks.UserError as cut:
        raise _checks.RunError(str(cut)) from None


@functools.lru_cache(maxsize=100_000)
def _find_unchanged(path: str, _size: int, _changed: int) -> Sequence[int]:
    return find_records(path)


def _size(path: str) -> int:
    status = os.stat(path)
    _refuse_special(path, status)
    return status.st_size


def _refuse_special(path: str, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        kind = _files.kind_of(os.path.realpath(path))
        raise _checks.UserError(f"Shard {path} is {kind}, not a file: {REPAIR}")


def _refuse_empty(path: str, size: int) -> None:
    if size == 0:
        raise _checks.UserError(f"Shard {path} is empty (0 bytes): {REPAIR}")


def count_whole_records(path: str) -> int:
    """Returns how many records lie whole in a file, before what is cut or has a wrong length.

    Raises:
      UserError: if it is no regular file.
    """
    return len(_walk(path, _size(path))) - 1


def read_record(path: str, number: int) -> bytes:
    """Returns one record of a whole TFRecord file, found by walking over those before it.

    Raises:
      ValueError: if the file has no such record.
    """
    with _files.open_regular(path) as file:
        for before in range(number + 1):
            header = file.read(_HEADER.size)
            if len(header) < _HEADER.size:
                raise ValueError(f"number={number}: {path} has {before} records")
            size = _HEADER.unpack(header)[0]
            if before < number:
                file.seek(size + _FOOTER_BYTES, os.SEEK_CUR)
        return file.read(size)


def _walk(path: str, size: int) -> Sequence[int]:
    """Returns where each whole record begins, and where the last of them ends."""
    places = array.array("q", [0])
    end, begin, held = 0, 0, b""
    # No buffer, which on some network disks is a megabyte, for twelve bytes of each record.
    with _files.open_regular(path, buffering=0) as file:
        while end < size:
            if end + _HEADER.size > begin + len(held):
                is_near = end - begin <= _PAGE
                begin = file.seek(end)
                held = file.read(_PAGE if is_near else _HEADER.size)
                if len(held) < _HEADER.size:
                    break
            length, _ = _HEADER.unpack_from(held, end - begin)
            after = end + _HEADER.size + length + _FOOTER_BYTES
            if after > size:
                break
            end = after
            places.append(end)
    return places
