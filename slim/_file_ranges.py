"""Parts of files that are read like bytes without being loaded; no TensorFlow here.

A memory map would be shorter, but its pages count as memory of the process, and a file that is
truncated meanwhile ends the process.
"""

import errno
import os
from typing import IO, overload

_PAGE = 4096  # bytes read at once, the smallest unit of disks
_BLOCK = 256 << 10  # bytes searched at once


class FileRange:
    """A part of an open file, with the methods of `bytes` that readers of headers need.

    Args:
      file: a file that `_files.open_regular` opened; must stay open.
      begin: the first byte.
      size: number of bytes.
    """

    def __init__(self, file: IO[bytes], begin: int, size: int) -> None:
        self._file = file
        self._begin = begin
        self._size = size
        self._page_at = 0
        self._page = b""

    def __len__(self) -> int:
        return self._size

    @overload
    def __getitem__(self, key: int) -> int: ...
    @overload
    def __getitem__(self, key: slice) -> bytes: ...
    def __getitem__(self, key: int | slice) -> int | bytes:
        if isinstance(key, slice):
            begin, end, _ = key.indices(self._size)
            return self._read(begin, max(0, end - begin))
        if not 0 <= key < self._size:
            raise IndexError(f"byte {key} of {self._size}")
        return self._read(key, 1)[0]

    def find(self, part: bytes, start: int = 0) -> int:
        """Returns the first position of `part` from `start` on, or -1."""
        step = _PAGE  # usually it is close
        while start < self._size:
            position = self._read(start, min(step + len(part) - 1, self._size - start)).find(part)
            if position >= 0:
                return start + position
            start, step = start + step, _BLOCK
        return -1

    def count(self, part: bytes) -> int:
        """Returns how often `part`, which cannot overlap itself, occurs."""
        size = _BLOCK + len(part) - 1
        return sum(
            self._read(at, min(size, self._size - at)).count(part)
            for at in range(0, self._size, _BLOCK)
        )

    def part(self, begin: int, end: int) -> "FileRange":
        """Returns the range from `begin` to `end` of this one."""
        return FileRange(self._file, self._begin + begin, end - begin)

    def _read(self, at: int, size: int) -> bytes:
        """Returns `size` bytes, all within the range.

        Raises:
          OSError: if the file is shorter than it was.
        """
        first = at - self._page_at
        if first < 0 or first + size > len(self._page):
            num_bytes = min(max(size, _PAGE), self._size - at)
            page = os.pread(self._file.fileno(), num_bytes, self._begin + at)
            if len(page) < size:
                raise OSError(errno.EIO, "truncated while it was read", self._file.name)
            if size > _PAGE:
                return page
            self._page_at, self._page, first = at, page, 0
        return self._page[first : first + size]
