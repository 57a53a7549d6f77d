"""What an archive may hold, and the errors for one that holds something else."""

import contextlib
import lzma
import os
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from typing import NamedTuple

from slim import _checks, _json

DAMAGE = (
    *(tarfile.TarError, zipfile.BadZipFile, lzma.LZMAError, zlib.error, struct.error),
    *(EOFError, OSError, ValueError, KeyError, IndexError, OverflowError, NotImplementedError),
)
_MAX_COMPONENT_BYTES, _MAX_PATH_BYTES, _MAX_DEPTH = 255, 4095, 32
_MAX_NAME_BYTES = 64 << 20  # of all members
_MAX_EXPANSION = 200  # real archives stay below 60
_MIN_ROOM = 16 << 20  # which every archive may expand to


class Limits(NamedTuple):
    """The most that an archive may hold: members of any kind, and uncompressed bytes in all and of
    one member."""

    members: int
    bytes: int
    member_bytes: int | None = None


class Names:
    """The names and sizes of an archive's files: unique, and in all no more than allowed."""

    def __init__(self, path: str, limits: Limits) -> None:
        self.total = 0
        self._name_bytes = 0
        self._seen: set[str] = set()
        self._path = path
        self._limits = limits

    def add(self, name: str, size: int) -> None:
        """Adds a file; raises RunError if there is one of that name, or too much in all."""
        self.total += size
        self._name_bytes += len(name)
        if self.total > self._limits.bytes:
            raise too_large(self._path, self._limits.bytes)
        if size > (self._limits.member_bytes or size):
            raise refused(
                self._path, name, f"it has {size} bytes, more than {self._limits.member_bytes}"
            )
        if name in self._seen:
            raise refused(self._path, name, "it is there twice")
        if self._name_bytes > _MAX_NAME_BYTES:
            raise refused(self._path, name, f"all names take more than {_MAX_NAME_BYTES} bytes")
        self._seen.add(name)


def safe_name(archive: str, name: str, *, is_folder: bool = False) -> str:
    """Returns a member's name without "." parts.

    Raises:
      RunError: if it is absolute, has "..", a backslash or a control character, is longer or deeper
        than file systems allow, or is empty, which a folder's may be.
    """
    if len(name) > _MAX_PATH_BYTES:
        raise refused(archive, name, f"its path is longer than {_MAX_PATH_BYTES} bytes")
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if name.startswith("/") or (len(name) > 1 and name[1] == ":"):
        raise refused(archive, name, "its path is absolute")
    if ".." in parts:
        raise refused(archive, name, "its path leads out of the archive ('..')")
    try:
        sizes = [len(part.encode()) for part in parts]
    except UnicodeEncodeError:
        raise refused(archive, name, "its name is not UTF-8") from None
    if "\\" in name or not name.isprintable() or not (parts or is_folder):
        raise refused(archive, name, "its name has a backslash or a control character")
    if max(sizes, default=0) > _MAX_COMPONENT_BYTES:
        raise refused(archive, name, f"its name is longer than {_MAX_COMPONENT_BYTES} bytes")
    if sum(sizes) + len(sizes) > _MAX_PATH_BYTES:
        raise refused(archive, name, f"its path is longer than {_MAX_PATH_BYTES} bytes")
    if len(parts) > _MAX_DEPTH:
        raise refused(archive, name, f"it lies deeper than {_MAX_DEPTH} folders")
    return "/".join(parts)


def expanded(path: str) -> int:
    """Returns how many bytes an archive of this size may expand to."""
    return max(_MIN_ROOM, _MAX_EXPANSION * os.path.getsize(path))


@contextlib.contextmanager
def translated(path: str, member: str | None = None) -> Iterator[None]:
    """Turns any error of a damaged archive into one line; names the member if it is known."""
    try:
        yield
    except DAMAGE as error:
        where = f"member {shown(member)}: " if member is not None else ""
        reason = _json.printable(str(error) or type(error).__name__)[:200]
        raise _checks.RunError(
            f"Archive {path} is damaged ({where}{reason}): get it again"
        ) from error


def shown(name: str) -> str:
    """Returns a name for a message, shortened and without control characters."""
    return repr(name if len(name) <= 100 else f"{name[:100]}...")


def refused(path: str, name: str, why: str) -> _checks.RunError:
    """Returns the error for a member that is not accepted."""
    return _checks.RunError(
        f"Archive {path} is refused, it does not look like the real one: member {shown(name)}:"
        f" {why}"
    )


def too_many(path: str, most: int) -> _checks.RunError:
    """Returns the error for an archive of too many members."""
    return _checks.RunError(f"Archive {path} is refused: it has more than {most} members")


def too_large(path: str, most: int) -> _checks.RunError:
    """Returns the error for an archive of too many bytes."""
    return _checks.RunError(f"Archive {path} is refused: it holds more than {most} bytes")


def bomb(path: str) -> _checks.RunError:
    """Returns the error for an archive that expands to unreasonably many bytes."""
    return _checks.RunError(
        f"Archive {path} is refused: it expands to more than {_MAX_EXPANSION} times its size"
    )
