"""Bounded streams of an archive's bytes."""

import io
import lzma
import zipfile
from typing import IO, Protocol

from datasets import archive_checks
from slim import _checks

_CHUNK = 1 << 20
_XZ_MEMORY = 128 << 20
_ZIP_ENTRY_BYTES = 256  # per member, in the central directory
_MIN_ZIP_DIRECTORY = 16 << 20  # always allowed


class Reader(Protocol):
    """Anything that reads bytes sequentially."""

    def read(self, size: int = ..., /) -> bytes:
        """Returns up to `size` bytes; none at the end."""


class Content:
    """The bytes of a member: exactly `size`, or an error."""

    def __init__(self, path: str, name: str, file: Reader, size: int) -> None:
        self._path, self._name, self._file, self._remaining = path, name, file, size

    def read(self, size: int = _CHUNK) -> bytes:
        """Returns up to `size` bytes; none at the end."""
        with archive_checks.translated(self._path, self._name):
            data = self._file.read(min(size, self._remaining))
            if not data and self._remaining and size:
                raise EOFError("it is truncated")
        self._remaining -= len(data)
        return data


class Counted:
    """A stream that raises `error` after more than `max_bytes`."""

    def __init__(self, path: str, file: Reader, max_bytes: int, error: _checks.RunError) -> None:
        self._path, self._file, self._max_bytes, self._error = path, file, max_bytes, error
        self._at = 0

    def read(self, size: int = _CHUNK) -> bytes:
        """Returns up to `size` bytes; none at the end."""
        # Reading one byte more than allowed detects the excess.
        with archive_checks.translated(self._path):
            data = self._file.read(min(size, self._max_bytes - self._at + 1))
        self._at += len(data)
        if self._at > self._max_bytes:
            raise self._error
        return data

    def skip_to(self, offset: int) -> None:
        """Reads and discards the bytes before an offset."""
        while self._at < offset:
            if not self.read(min(_CHUNK, offset - self._at)):
                raise EOFError("it is truncated")


class Window:
    """A range of a file, as a stream."""

    def __init__(self, file: IO[bytes], offset: int, size: int) -> None:
        self._file, self._offset, self._size, self._at = file, offset, size, 0

    def read(self, size: int = _CHUNK) -> bytes:
        """Returns up to `size` bytes; none at the end."""
        self._file.seek(self._offset + self._at)
        data = self._file.read(max(0, min(size, self._size - self._at)))
        self._at += len(data)
        return data

    def skip_to(self, offset: int) -> None:
        """Moves to an offset."""
        if offset > self._size:
            raise EOFError("it is truncated")
        self._at = offset


class Xz:
    """Decompresses .xz with bounded memory, unlike `lzma.open`."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._xz = lzma.LZMADecompressor(lzma.FORMAT_XZ, _XZ_MEMORY)

    def read(self, size: int = _CHUNK) -> bytes:
        """Returns up to `size` bytes; none at the end."""
        data = b""
        while not data and size:
            compressed = b""
            if self._xz.eof:  # another stream may follow, after padding
                compressed = self._xz.unused_data.lstrip(b"\0") or self._next_stream()
                if not compressed:
                    break
                self._xz = lzma.LZMADecompressor(lzma.FORMAT_XZ, _XZ_MEMORY)
            elif self._xz.needs_input:
                compressed = self._file.read(_CHUNK)
                if not compressed:
                    raise EOFError("it is truncated")
            data = self._xz.decompress(compressed, size)
        return data

    def _next_stream(self) -> bytes:
        while chunk := self._file.read(_CHUNK):
            if rest := chunk.lstrip(b"\0"):
                return rest
        return b""


class ZipInput(io.BufferedReader):
    """A zip's file. Limits the central directory before `zipfile` creates objects from it.

    Attributes:
      max_members: maximum number of members while the zip is opened; None afterwards.
      too_many: the error for more members.
      entries: number of entries in the part that was read last.
    """

    max_members: int | None = None
    too_many: _checks.RunError
    entries = 0

    def read(self, size: int | None = -1, /) -> bytes:
        """Returns up to `size` bytes; `zipfile` reads the whole directory in one call."""
        if self.max_members is None or size is None or size < 0:
            return super().read(size)
        if size > max(_MIN_ZIP_DIRECTORY, _ZIP_ENTRY_BYTES * self.max_members):
            raise zipfile.BadZipFile(f"its central directory has {size} bytes")
        data = super().read(size)
        self.entries = data.count(b"PK\1\2")
        if self.entries > self.max_members:
            raise self.too_many
        return data
