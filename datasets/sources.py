"""Where the bytes of a picture are: a file, a part of a file, or a member of a zip.

They are small values that a worker process is given and reads. No TensorFlow.
"""

import functools
import os
import stat
import zipfile
from typing import NamedTuple

from datasets import archive_checks
from slim import _files

READ_ERRORS = (OSError,)
MAX_BYTES = 1 << 30  # of a file that is to be a picture


class FileSource(NamedTuple):
    """A whole file."""

    path: str

    @property
    def name(self) -> str:
        """How messages call it."""
        return self.path

    def read(self) -> bytes:
        """Returns the content.

        Raises:
          OSError: if it is no regular file, which might never end, or has more than `MAX_BYTES`.
        """
        found = os.stat(self.path)
        if not stat.S_ISREG(found.st_mode):
            raise OSError("it is no regular file")
        if found.st_size > MAX_BYTES:
            raise OSError(f"it has {found.st_size} bytes, more than {MAX_BYTES}")
        with open(self.path, "rb") as file:
            return file.read()


class RangeSource(NamedTuple):
    """A part of a file, such as a member of an uncompressed tar, called `member`."""

    path: str
    offset: int
    size: int
    member: str

    @property
    def name(self) -> str:
        """How messages call it."""
        return f"{self.path}:{self.member}"

    def read(self) -> bytes:
        """Returns the content.

        Raises:
          OSError: if it cannot be read, or has more than `MAX_BYTES`.
        """
        if self.size > MAX_BYTES:
            raise OSError(f"it has {self.size} bytes, more than {MAX_BYTES}")
        with _files.open_regular(self.path) as file:
            file.seek(self.offset)
            return file.read(self.size)


class ZipSource(NamedTuple):
    """A member of a zip."""

    path: str
    member: str

    @property
    def name(self) -> str:
        """How messages call it."""
        return f"{self.path}:{self.member}"

    def read(self) -> bytes:
        """Returns the content.

        Raises:
          OSError: if it is damaged or not there, or has more than `MAX_BYTES`.
        """
        try:
            archive = _opened(self.path)
            if archive.getinfo(self.member).file_size > MAX_BYTES:
                raise OSError(f"it has more than {MAX_BYTES} bytes")
            return archive.read(self.member)
        except archive_checks.DAMAGE as error:
            raise OSError(str(error)) from error


Source = FileSource | RangeSource | ZipSource


@functools.lru_cache(maxsize=4)
def _opened(path: str) -> zipfile.ZipFile:
    # Kept open: the directory of a zip with 80,000 members takes a second to read.
    return zipfile.ZipFile(path)
