"""The TFRecord container, seen without TensorFlow: how many records a file has, and whether it is
whole.

A record is its length (8 bytes, little endian), a checksum of the length (4), the data and a
checksum of the data (4). Walking from length to length counts the records without reading them.
"""

import os
import struct

from slim import _checks

_HEADER = struct.Struct("<QI")
_FOOTER_BYTES = 4
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


def count_whole_records(path: str) -> int:
    """Returns how many records lie whole in a file, before what is cut or has a wrong length."""
    return _walk(path, os.path.getsize(path))[0]


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
