"""Archives that are not trusted: only regular files come out, under names that were looked at, and
never more of them or more bytes than the caller allows.

`extractall` is not used: its filters have been got around, and none of them counts.
"""

import contextlib
import gzip
import os
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from typing import IO, NamedTuple

from slim import _checks

_CHUNK = 1 << 20
_TAR_ERRORS = (tarfile.TarError, EOFError, OSError, zlib.error, ValueError)
_ZIP_ERRORS = (zipfile.BadZipFile, EOFError, zlib.error, NotImplementedError)


class Limits(NamedTuple):
    """The most that an archive may hold: members of any kind, and bytes once uncompressed."""

    members: int
    bytes: int


class Range(NamedTuple):
    """A regular file inside an uncompressed tar: its name and where its bytes lie."""

    name: str
    offset: int
    size: int


def extract(path: str, directory: str, limits: Limits) -> list[str]:
    """Copies the regular files of a tar, a compressed tar or a zip into a directory.

    Args:
      path: the archive; tar and zip are told apart by their content.
      directory: made if it is not there; nothing is written outside, or over what is there.
      limits: the most that may come out.

    Returns:
      the files' names in the archive, which are their paths below `directory`.

    Raises:
      RunError: if the archive is damaged, holds more than the limits allow, or a member is no
        regular file, or has a name that leads out of the directory.
    """
    names: list[str] = []
    with contextlib.closing(_members(path, limits)) as members:
        for name, file in members:
            target = os.path.join(directory, *name.split("/"))
            os.makedirs(os.path.dirname(target), exist_ok=True)
            _copy(file, target, lambda name=name: _refused(path, name, "it is there twice"))
            names.append(name)
    return names


def read_all(path: str, limits: Limits) -> dict[str, bytes]:
    """Returns name -> content of the regular files of a small archive; raises as `extract`."""
    contents: dict[str, bytes] = {}
    for name, content in members(path, limits):
        if name in contents:
            raise _refused(path, name, "it is there twice")
        contents[name] = content
    return contents


def members(path: str, limits: Limits) -> Iterator[tuple[str, bytes]]:
    """Yields name and content of each regular file of an archive; raises as `extract`."""
    with contextlib.closing(_members(path, limits)) as found:
        for name, file in found:
            yield name, b"".join(iter(lambda file=file: file.read(_CHUNK), b""))


def gunzip(path: str, target: str, max_bytes: int) -> None:
    """Uncompresses a .gz file.

    Args:
      path: the compressed file.
      target: where to write; not to be there.
      max_bytes: the most that may come out.

    Raises:
      RunError: if the file is damaged or holds more.
    """
    with _told(path, _TAR_ERRORS), gzip.open(path) as file:
        _copy(_Counted(path, file, max_bytes), target, lambda: _refused(path, target, "it exists"))


def list_tar(path: str, limits: Limits, within: Range | None = None) -> list[Range]:
    """Returns where the regular files of an uncompressed tar lie, without reading them.

    Args:
      path: the tar.
      limits: the most that it may hold.
      within: a tar inside that tar, to be listed instead; offsets still count from its start.

    Raises:
      RunError: as in `extract`.
    """
    found, total = [], 0
    with _told(path, _TAR_ERRORS), open(path, "rb") as file:
        window = _Window(file, within.offset, within.size) if within else file
        with tarfile.open(fileobj=window, mode="r:") as tar:
            start = within.offset if within else 0
            for member in _checked_tar(path, tar, limits):
                total += member.size
                if total > limits.bytes:
                    raise _too_large(path, limits.bytes)
                name = safe_name(path, member.name)
                found.append(Range(name, start + member.offset_data, member.size))
    return found


def list_zip(path: str, limits: Limits) -> list[str]:
    """Returns the names of the regular files of a zip; raises as `extract`."""
    with _told(path, _ZIP_ERRORS), zipfile.ZipFile(path) as archive:
        infos = _checked_zip(path, archive, limits)
        if sum(info.file_size for info in infos) > limits.bytes:
            raise _too_large(path, limits.bytes)
        return [safe_name(path, info.filename) for info in infos]


def safe_name(archive: str, name: str, *, is_folder: bool = False) -> str:
    """Returns a member's name without "." parts.

    Raises:
      RunError: if it is absolute, has "..", a backslash or a control character, or is empty, which
        a folder's may be.
    """
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if name.startswith("/") or (len(name) > 1 and name[1] == ":"):
        raise _refused(archive, name, "its path is absolute")
    if ".." in parts:
        raise _refused(archive, name, "its path leads out of the archive ('..')")
    if "\\" in name or any(ord(character) < 32 for character in name) or not (parts or is_folder):
        raise _refused(archive, name, "its name has a backslash or a control character")
    return "/".join(parts)


def _members(path: str, limits: Limits) -> Iterator[tuple[str, IO[bytes]]]:
    """Yields each regular file's name and content, which is to be read before the next."""
    if zipfile.is_zipfile(path):
        with _told(path, _ZIP_ERRORS), zipfile.ZipFile(path) as archive:
            left = limits.bytes
            for info in _checked_zip(path, archive, limits):
                with archive.open(info) as file:
                    counted = _Counted(path, file, left, limits.bytes)
                    yield safe_name(path, info.filename), counted
                    left = counted.left
        return
    with _told(path, _TAR_ERRORS), open(path, "rb") as file:
        is_gzip = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        plain = gzip.GzipFile(fileobj=file) if is_gzip else file
        # Headers count too, for a member may be nothing but headers: 3 blocks of 512 a member.
        room = limits.bytes + 1536 * limits.members
        stream = _Counted(path, plain, room, limits.bytes)
        with tarfile.open(fileobj=stream, mode="r|") as tar:
            left = limits.bytes
            for member in _checked_tar(path, tar, limits):
                content = tar.extractfile(member)
                assert content is not None
                counted = _Counted(path, content, left, limits.bytes)
                yield safe_name(path, member.name), counted
                left = counted.left


def _checked_tar(path: str, tar: tarfile.TarFile, limits: Limits) -> Iterator[tarfile.TarInfo]:
    for number, member in enumerate(tar, 1):
        if number > limits.members:
            raise _too_many(path, limits.members)
        safe_name(path, member.name, is_folder=member.isdir())
        if member.issym() or member.islnk():
            raise _refused(path, member.name, f"it is a link to {member.linkname!r}")
        if member.isdev():
            raise _refused(path, member.name, "it is a device")
        if member.issparse() or not (member.isreg() or member.isdir()):
            raise _refused(path, member.name, "it is neither a regular file nor a folder")
        if member.isreg():
            yield member
        tar.members = []  # tarfile keeps all that it has seen


def _checked_zip(path: str, archive: zipfile.ZipFile, limits: Limits) -> list[zipfile.ZipInfo]:
    infos = archive.infolist()
    if len(infos) > limits.members:
        raise _too_many(path, limits.members)
    for info in infos:
        kind = info.external_attr >> 28  # the upper four bits of a Unix mode
        safe_name(path, info.filename, is_folder=info.is_dir())
        if kind == 0o12:
            raise _refused(path, info.filename, "it is a link")
        if kind not in (0, 0o10, 0o4):
            raise _refused(path, info.filename, "it is a device")
        if info.flag_bits & 1:
            raise _refused(path, info.filename, "it is encrypted")
    return [info for info in infos if not info.is_dir()]


class _Counted:
    """A stream that refuses to give more than it may."""

    def __init__(self, path: str, file: IO[bytes], left: int, limit: int | None = None) -> None:
        self.left = left
        self._path = path
        self._file = file
        self._limit = left if limit is None else limit

    def read(self, size: int = _CHUNK) -> bytes:
        # One byte more than allowed shows that there is more.
        with _told(self._path, (*_TAR_ERRORS, *_ZIP_ERRORS)):
            data = self._file.read(min(size, self.left + 1))
        self.left -= len(data)
        if self.left < 0:
            raise _too_large(self._path, self._limit)
        return data


class _Window:
    """A part of a file, seen as a file."""

    def __init__(self, file: IO[bytes], offset: int, size: int) -> None:
        self._file, self._offset, self._size, self._at = file, offset, size, 0

    def tell(self) -> int:
        return self._at

    def seek(self, at: int, whence: int = os.SEEK_SET) -> int:
        self._at = at + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        return self._at

    def read(self, size: int = -1) -> bytes:
        left = max(0, self._size - self._at)
        self._file.seek(self._offset + self._at)
        data = self._file.read(left if size < 0 else min(size, left))
        self._at += len(data)
        return data


def _copy(file: IO[bytes] | _Counted, target: str, already: Callable[[], _checks.RunError]) -> None:
    try:
        output = open(target, "xb")  # noqa: SIM115 - the name must be new
    except (FileExistsError, IsADirectoryError):
        raise already() from None
    with output:
        while chunk := file.read(_CHUNK):
            try:
                output.write(chunk)
            except OSError as error:
                raise _checks.RunError(
                    f"{target} could not be written: {error.strerror}"
                ) from error


@contextlib.contextmanager
def _told(path: str, errors: tuple[type[Exception], ...]) -> Iterator[None]:
    try:
        yield
    except errors as error:
        raise _checks.RunError(
            f"Archive {path} is damaged ({error or type(error).__name__}): get it again"
        ) from error


def _refused(path: str, name: str, why: str) -> _checks.RunError:
    return _checks.RunError(
        f"Archive {path} is refused, it does not look like the real one: member {name!r}: {why}"
    )


def _too_many(path: str, most: int) -> _checks.RunError:
    return _checks.RunError(f"Archive {path} is refused: it has more than {most} members")


def _too_large(path: str, most: int) -> _checks.RunError:
    return _checks.RunError(f"Archive {path} is refused: it holds more than {most} bytes")
