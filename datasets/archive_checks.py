"""The allowed content of an archive, and the errors for anything else."""

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
_MAX_NAME_BYTES = 64 << 20  # of all names together
_MAX_EXPANSION = 200  # real archives stay below 60
_MIN_EXPANDED_BYTES = 16 << 20  # allowed for every archive


class Limits(NamedTuple):
    """The maximum number of members, of uncompressed bytes, and of bytes in a single member."""

    members: int
    bytes: int
    member_bytes: int | None = None


class Names:
    """Checks that the file names of an archive are unique, and the total size within its limits."""

    def __init__(self, path: str, limits: Limits) -> None:
        self.total = 0
        self._name_bytes = 0
        self._seen: set[str] = set()
        self._path = path
        self._limits = limits

    def add(self, name: str, size: int) -> None:
        """Adds a file; raises RunError if its name is not unique or a limit is exceeded."""
        self.total += size
        self._name_bytes += len(name)
        if self.total > self._limits.bytes:
            raise too_large(self._path, self._limits.bytes)
        if size > (self._limits.member_bytes or size):
            raise rejected(
                self._path, name, f"it has {size} bytes, more than {self._limits.member_bytes}"
            )
        if name in self._seen:
            raise rejected(self._path, name, "it occurs twice")
        if self._name_bytes > _MAX_NAME_BYTES:
            raise rejected(self._path, name, f"the names have more than {_MAX_NAME_BYTES} bytes")
        self._seen.add(name)


def safe_name(archive: str, name: str, *, is_directory: bool = False) -> str:
    """Returns a member's name without "." parts.

    Raises:
      RunError: if it is absolute, has "..", a backslash or a control character, is longer or deeper
        than file systems allow, or is empty and not a directory's.
    """
    if len(name) > _MAX_PATH_BYTES:
        raise rejected(archive, name, f"its path is longer than {_MAX_PATH_BYTES} bytes")
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if name.startswith("/") or (len(name) > 1 and name[1] == ":"):
        raise rejected(archive, name, "its path is absolute")
    if ".." in parts:
        raise rejected(archive, name, "its path leads outside the archive ('..')")
    try:
        sizes = [len(part.encode()) for part in parts]
    except UnicodeEncodeError:
        raise rejected(archive, name, "its name is not UTF-8") from None
    if "\\" in name or not name.isprintable() or not (parts or is_directory):
        raise rejected(archive, name, "its name has a backslash or a control character")
    if max(sizes, default=0) > _MAX_COMPONENT_BYTES:
        raise rejected(archive, name, f"its name is longer than {_MAX_COMPONENT_BYTES} bytes")
    if sum(sizes) + len(sizes) > _MAX_PATH_BYTES:
        raise rejected(archive, name, f"its path is longer than {_MAX_PATH_BYTES} bytes")
    if len(parts) > _MAX_DEPTH:
        raise rejected(archive, name, f"its path has more than {_MAX_DEPTH} levels")
    return "/".join(parts)


def expanded(path: str) -> int:
    """Returns the number of bytes to which an archive of this size may expand."""
    return max(_MIN_EXPANDED_BYTES, _MAX_EXPANSION * os.path.getsize(path))


@contextlib.contextmanager
def translated(path: str, member: str | None = None) -> Iterator[None]:
    """Turns any error of a damaged archive into a one-line RunError, with the member if known."""
    try:
        yield
    except DAMAGE as error:
        where = f"member {shown(member)}: " if member is not None else ""
        reason = _json.printable(str(error) or type(error).__name__)[:200]
        raise _checks.RunError(
            f"Archive {path} is damaged ({where}{reason}). Download it again"
        ) from error


def shown(name: str) -> str:
    """Returns a name for a message, shortened and without control characters."""
    return repr(name if len(name) <= 100 else f"{name[:100]}...")


def rejected(path: str, name: str, why: str) -> _checks.RunError:
    """Returns the error for an unacceptable member."""
    return _checks.RunError(
        f"Archive {path} is rejected, it is not the expected one: member {shown(name)}: {why}"
    )


def too_many(path: str, maximum: int) -> _checks.RunError:
    """Returns the error for an archive with too many members."""
    return _checks.RunError(f"Archive {path} is rejected: it has more than {maximum} members")


def too_large(path: str, maximum: int) -> _checks.RunError:
    """Returns the error for an archive with too many bytes."""
    return _checks.RunError(f"Archive {path} is rejected: it holds more than {maximum} bytes")


def bomb(path: str) -> _checks.RunError:
    """Returns the error for an archive with an implausible compression ratio."""
    return _checks.RunError(
        f"Archive {path} is rejected: it expands to more than {_MAX_EXPANSION} times its size"
    )
