"""Sources of an image's bytes: a file, a range of a file, or a member of a zip.

Sources are small values that are passed to worker processes, which read them. No TensorFlow.
"""

import functools
import weakref
import zipfile
from typing import NamedTuple

from datasets import archive_checks
from slim import _files, _image_limits

READ_ERRORS = (OSError,)
# Of any encoded image; `images` also applies a limit that depends on its number of pixels.
MAX_BYTES = _image_limits.max_bytes(_image_limits.MAX_PIXELS)


class FileSource(NamedTuple):
    """A complete file."""

    path: str

    @property
    def name(self) -> str:
        """The name in messages."""
        return self.path

    def read(self) -> bytes:
        """Returns the content.

        Raises:
          OSError: if it is not a regular file, or has more than `MAX_BYTES`.
        """
        return _files.read_bounded(self.path, MAX_BYTES)


class RangeSource(NamedTuple):
    """A range of a file, such as a member of an uncompressed tar; `member` is its name."""

    path: str
    offset: int
    size: int
    member: str

    @property
    def name(self) -> str:
        """The name in messages."""
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
        """The name in messages."""
        return f"{self.path}:{self.member}"

    def read(self) -> bytes:
        """Returns the content.

        Raises:
          OSError: if it is damaged or missing, or has more than `MAX_BYTES`.
        """
        try:
            archive = _open(self.path)
            if archive.getinfo(self.member).file_size > MAX_BYTES:
                raise OSError(f"it has more than {MAX_BYTES} bytes")
            return archive.read(self.member)
        except archive_checks.DAMAGE as error:
            raise OSError(str(error)) from error


Source = FileSource | RangeSource | ZipSource


@functools.lru_cache(maxsize=4)
def _open(path: str) -> zipfile.ZipFile:
    # Cached: reading the directory of a zip with 80,000 members takes a second.
    file = _files.open_regular(path)
    try:
        archive = zipfile.ZipFile(file)
    except BaseException:
        file.close()
        raise
    weakref.finalize(archive, file.close)
    return archive
