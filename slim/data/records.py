"""Number and offsets of records in TFRecord files, and damage; no TensorFlow here.

A record is its length (8 bytes, little endian), a checksum of the length (4), the data and a
checksum of the data (4). Following the lengths finds the records without reading them.
"""

import array
import functools
import os
import shlex
import stat
import struct
from collections.abc import Sequence
from concurrent import futures
from typing import IO

import numpy as np

from slim import _checks, _files
from slim._file_ranges import FileRange

_HEADER = struct.Struct("<QI")
_FOOTER_BYTES = 4
_PAGE = 4096  # bytes, the smallest unit that disks read
_THREADS = 16  # files scanned in parallel, for network disks
_INFLATE = "import sys, zlib; sys.stdout.buffer.write(zlib.decompress(sys.stdin.buffer.read()))"
REPAIR = "re-copy or rebuild this shard"


def count_records(path: str) -> int:
    """Returns the number of records in a TFRecord file.

    Args:
      path: an uncompressed TFRecord file.

    Raises:
      UserError: if the file is empty, truncated, compressed, not a TFRecord file or not a regular
        file.
    """
    return len(find_records(path)) - 1


def find_records(path: str) -> Sequence[int]:
    """Returns the offset of each record of a TFRecord file, and last the file's size.

    Arguments and errors as in `count_records`.
    """
    size = _check_file(path).st_size
    offsets = _walk(path, size)
    if offsets[-1] != size:
        _check_compression(path)
        raise _checks.UserError(
            f"Shard {path} is truncated inside record {len(offsets) - 1}, or is not a TFRecord file"
            f" ({size} bytes): {REPAIR}"
        )
    return offsets


def find_all_records(paths: Sequence[str], counts: Sequence[int | None]) -> list[Sequence[int]]:
    """Returns `find_records` of each file.

    Files are checked before TensorFlow reads them: its reader allocates as much memory as a damaged
    length says, which ends the process if there is not enough.

    Args:
      paths: uncompressed TFRecord files. Results are cached until a file changes.
      counts: recorded number of records of each, or None if unknown: such a file must not be empty.

    Raises:
      UserError: if a file is not regular, or empty with an unknown count.
      RunError: if a file is truncated, compressed or not a TFRecord file.
    """
    with futures.ThreadPoolExecutor(_THREADS) as pool:
        return list(pool.map(find_known_records, paths, counts))


def find_known_records(path: str, count: int | None) -> Sequence[int]:
    """Returns what `find_all_records` returns for a single file."""
    status = _check_file(path, allow_empty=count is not None)
    if not status.st_size:
        return [0]
    try:
        return _find_unchanged(path, status.st_size, status.st_mtime_ns)
    except _checks.UserError as error:
        raise _checks.RunError(str(error)) from None


@functools.lru_cache(maxsize=100_000)
def _find_unchanged(path: str, _size: int, _modified: int) -> Sequence[int]:
    return find_records(path)


def _check_file(path: str, allow_empty: bool = False) -> os.stat_result:
    status = os.stat(path)
    if not stat.S_ISREG(status.st_mode):
        kind = _files.kind_of(os.path.realpath(path))
        raise _checks.UserError(f"Shard {path} is {kind}, not a regular file: {REPAIR}")
    if not status.st_size and not allow_empty:
        raise _checks.UserError(f"Shard {path} is empty (0 bytes): {REPAIR}")
    return status


def _check_compression(path: str) -> None:
    """Raises UserError if a file starts like a compressed one, with the command to decompress it.

    A compressed file has no offsets of records, which training needs.
    """
    with _files.open_regular(path) as file:
        start = file.read(2)
    if start == b"\x1f\x8b":
        kind, command = "gzip", "gzip -dc"
    elif len(start) == 2 and start[0] == 0x78 and int.from_bytes(start) % 31 == 0:  # RFC 1950
        kind, command = "zlib", f'python -c "{_INFLATE}"'
    else:
        return
    quoted = shlex.quote(path)
    raise _checks.UserError(
        f"Shard {path} is compressed ({kind}), so that its records cannot be read in random order."
        f" Decompress it: {command} < {quoted} > {quoted}.plain && mv {quoted}.plain {quoted}"
    )


def find_whole_records(path: str) -> Sequence[int]:
    """Returns the offset of each complete record before the end, truncation or a damaged length,
    and the end of the last one.

    Raises:
      UserError: if the file is not regular.
    """
    return _walk(path, _check_file(path, allow_empty=True).st_size)


def find_large_records(offsets: Sequence[int], size: int) -> list[int]:
    """Returns the indices of the records with more than `size` bytes.

    Args:
      offsets: from `find_records`.
      size: maximum number of bytes of the others.
    """
    lengths = np.diff(np.asarray(offsets, np.int64)) - _HEADER.size - _FOOTER_BYTES
    return np.flatnonzero(lengths > size).tolist()


def record_range(file: IO[bytes], offsets: Sequence[int], number: int) -> FileRange:
    """Returns a record without reading it.

    Args:
      file: the open file.
      offsets: from `find_records`.
      number: index of the record.
    """
    begin = offsets[number] + _HEADER.size
    return FileRange(file, begin, offsets[number + 1] - _FOOTER_BYTES - begin)


def read_record(path: str, number: int) -> bytes:
    """Returns one record of an intact TFRecord file.

    Raises:
      ValueError: if the file has no such record.
    """
    offsets = _walk(path, os.path.getsize(path))
    if number >= len(offsets) - 1:
        raise ValueError(f"number={number}: {path} has {len(offsets) - 1} records")
    with _files.open_regular(path) as file:
        return record_range(file, offsets, number)[:]


def _walk(path: str, size: int) -> Sequence[int]:
    """Returns the offset of each complete record, and the end of the last one."""
    offsets = array.array("q", [0])
    end, begin, page = 0, 0, b""
    # Unbuffered: some network disks have buffers of a megabyte, but only headers are read.
    with _files.open_regular(path, buffering=0) as file:
        while end < size:
            if end + _HEADER.size > begin + len(page):
                is_close = end - begin <= _PAGE
                begin = file.seek(end)
                page = file.read(_PAGE if is_close else _HEADER.size)
                if len(page) < _HEADER.size:
                    break
            length, _ = _HEADER.unpack_from(page, end - begin)
            after = end + _HEADER.size + length + _FOOTER_BYTES
            if after > size:
                break
            end = after
            offsets.append(end)
    return offsets
