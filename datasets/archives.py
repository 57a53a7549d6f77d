"""Reads untrusted archives: only regular files with checked names are extracted, within limits on
their number and size.

`extractall` is not used: its filters have been bypassed in the past, and they have no limits.
"""

import bz2
import contextlib
import gzip
import io
import os
import zipfile
from collections.abc import Callable, Iterator
from typing import IO, NamedTuple

from datasets import archive_checks, archive_streams, tar_headers
from slim import _checks, _files

Limits = archive_checks.Limits
_CHUNK = 1 << 20
_HEADER_BYTES = 1536  # per tar member: its header, and one extended header with its content
_ZIP_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


class Range(NamedTuple):
    """A regular file inside an uncompressed tar: its name, and the offset and size of its bytes."""

    name: str
    offset: int
    size: int


def extract(path: str, directory: str, limits: Limits) -> list[str]:
    """Copies the regular files of a tar, a compressed tar (gzip, bzip2, xz) or a zip.

    Args:
      path: the archive; its format is detected from its content.
      directory: created if it does not exist; no other directory is written to, and no existing
        file is overwritten.
      limits: limits on the extracted files.

    Returns:
      the names of the files in the archive, which are their paths relative to `directory`.

    Raises:
      RunError: if the archive is damaged or exceeds the limits, or a member is not a regular file
        or has an unsafe or repeated name.
    """
    names: list[str] = []
    with contextlib.closing(_members(path, limits)) as members:
        for name, file in members:
            target = os.path.join(directory, *name.split("/"))
            try:
                os.makedirs(os.path.dirname(target), exist_ok=True)
            except (FileExistsError, NotADirectoryError):
                raise archive_checks.rejected(path, name, "a part of its path is a file") from None
            except OSError as error:
                raise _not_written(target, error) from error
            _copy(
                file,
                target,
                lambda name=name: archive_checks.rejected(path, name, "it occurs twice"),
            )
            names.append(name)
    return names


def read_all(path: str, limits: Limits) -> dict[str, bytes]:
    """Returns name -> content of the regular files of a small archive; raises like `extract`."""
    return dict(members(path, limits))


def members(path: str, limits: Limits) -> Iterator[tuple[str, bytes]]:
    """Yields name and content of each regular file of an archive; raises like `extract`."""
    with contextlib.closing(_members(path, limits)) as files:
        for name, file in files:
            yield name, b"".join(iter(lambda file=file: file.read(_CHUNK), b""))


def gunzip(path: str, target: str, max_bytes: int) -> None:
    """Uncompresses a .gz file.

    Args:
      path: the compressed file.
      target: path of the result; must not exist.
      max_bytes: maximum size of the result.

    Raises:
      RunError: if the file is damaged or the result is larger.
    """
    with _open(path) as file, gzip.GzipFile(fileobj=file) as content:
        counted = archive_streams.Counted(
            path, content, max_bytes, archive_checks.too_large(path, max_bytes)
        )
        _copy(counted, target, lambda: archive_checks.rejected(path, target, "it already exists"))


def list_tar(path: str, limits: Limits, within: Range | None = None) -> list[Range]:
    """Returns the ranges of the regular files in an uncompressed tar, without reading them.

    Args:
      path: the tar.
      limits: limits on its content.
      within: a tar inside this tar, to be listed instead; offsets still refer to the outer tar.

    Raises:
      RunError: like `extract`.
    """
    with _open(path) as file, archive_checks.translated(path):
        start, size = (within.offset, within.size) if within else (0, os.path.getsize(path))
        return [
            Range(name, start + header.offset, header.info.size)
            for name, header in _checked_tar(
                path, archive_streams.Window(file, start, size), limits
            )
        ]


def list_zip(path: str, limits: Limits) -> list[str]:
    """Returns the names of the regular files of a zip; raises like `extract`."""
    return [name for name, _ in read_zip_directory(path, limits)]


def read_zip_directory(path: str, limits: Limits) -> list[tuple[str, zipfile.ZipInfo]]:
    """Returns name and entry of each regular file of a zip; raises like `extract`."""
    with (
        _open(path) as file,
        archive_checks.translated(path),
        _open_zip(path, file, limits) as archive,
    ):
        return _checked_zip(path, archive, limits)


def _members(path: str, limits: Limits) -> Iterator[tuple[str, archive_streams.Content]]:
    """Yields name and content of each regular file; read the content before the next file."""
    with _open(path) as file, archive_checks.translated(path):
        magic = file.read(6)
        file.seek(0)
        if magic.startswith((b"PK\3\4", b"PK\5\6")):
            with _open_zip(path, file, limits) as archive:
                for name, info in _checked_zip(path, archive, limits):
                    with archive_checks.translated(path, name), archive.open(info) as content:
                        yield name, archive_streams.Content(path, name, content, info.file_size)
            return
        stream = _tar_stream(path, file, magic, limits)
        for name, header in _checked_tar(path, stream, limits):
            yield name, archive_streams.Content(path, name, stream, header.info.size)


def _tar_stream(
    path: str, file: IO[bytes], magic: bytes, limits: Limits
) -> archive_streams.Counted:
    """Returns the uncompressed bytes of a tar; the compression is detected from `magic`."""
    plain: archive_streams.Reader = file
    if magic.startswith(b"\x1f\x8b"):
        plain = gzip.GzipFile(fileobj=file)
    elif magic.startswith(b"BZh"):
        plain = bz2.BZ2File(file)
    elif magic == b"\xfd7zXZ\0":
        plain = archive_streams.Xz(file)
    max_bytes = limits.bytes + _HEADER_BYTES * limits.members
    max_expanded = archive_checks.expanded(path)
    if max_bytes <= max_expanded or plain is file:
        return archive_streams.Counted(
            path, plain, max_bytes, archive_checks.too_large(path, limits.bytes)
        )
    return archive_streams.Counted(path, plain, max_expanded, archive_checks.bomb(path))


def _checked_tar(
    path: str, stream: tar_headers.Stream, limits: Limits
) -> Iterator[tuple[str, tar_headers.Header]]:
    names, count = archive_checks.Names(path, limits), 0
    for count, header in enumerate(tar_headers.read_headers(stream), 1):
        info = header.info
        if count > limits.members:
            raise archive_checks.too_many(path, limits.members)
        name = archive_checks.safe_name(path, info.name, is_directory=info.isdir())
        if info.issym() or info.islnk():
            raise archive_checks.rejected(
                path, name, f"it is a link to {archive_checks.shown(info.linkname)}"
            )
        if info.isdev():
            raise archive_checks.rejected(path, name, "it is a device")
        if header.is_sparse or not (info.isreg() or info.isdir()):
            raise archive_checks.rejected(
                path, name, "it is neither a regular file nor a directory"
            )
        if info.isreg():
            names.add(name, info.size)
            yield name, header


def _open_zip(path: str, file: IO[bytes], limits: Limits) -> zipfile.ZipFile:
    raw = io.FileIO(file.fileno(), closefd=False)
    bounded = archive_streams.ZipInput(raw)
    bounded.max_members = limits.members
    bounded.too_many = archive_checks.too_many(path, limits.members)
    archive = zipfile.ZipFile(bounded)
    bounded.max_members = None
    if bounded.entries != len(archive.infolist()):
        raise zipfile.BadZipFile(
            f"only {len(archive.infolist())} of {bounded.entries} entries of its central directory"
            " are readable"
        )
    return archive


def _checked_zip(
    path: str, archive: zipfile.ZipFile, limits: Limits
) -> list[tuple[str, zipfile.ZipInfo]]:
    files, names = [], archive_checks.Names(path, limits)
    for info in archive.infolist():
        kind = info.external_attr >> 28  # the upper four bits of a Unix mode
        name = archive_checks.safe_name(path, info.filename, is_directory=info.is_dir())
        if kind == 0o12:
            raise archive_checks.rejected(path, name, "it is a link")
        if kind not in (0, 0o10, 0o4):
            raise archive_checks.rejected(path, name, "it is a device")
        if info.flag_bits & 1:
            raise archive_checks.rejected(path, name, "it is encrypted")
        if info.compress_type not in _ZIP_METHODS:
            raise archive_checks.rejected(
                path, name, f"its compression method {info.compress_type} is not supported"
            )
        if info.CRC and not info.file_size:
            raise archive_checks.rejected(path, name, "its size is 0, but its checksum is not")
        if not info.is_dir():
            names.add(name, info.file_size)
            files.append((name, info))
    if names.total > archive_checks.expanded(path):
        raise archive_checks.bomb(path)
    return files


def _copy(
    file: archive_streams.Reader, target: str, exists_error: Callable[[], _checks.RunError]
) -> None:
    try:
        with _files.create_exclusive(target) as output:
            while chunk := file.read(_CHUNK):
                output.write(chunk)
    except FileExistsError:
        raise exists_error() from None
    except OSError as error:
        raise _not_written(target, error) from error


def _open(path: str) -> IO[bytes]:
    try:
        return _files.open_regular(path)
    except OSError as error:
        raise _checks.RunError(f"Archive {path} cannot be read: {error.strerror}") from error


def _not_written(target: str, error: OSError) -> _checks.RunError:
    return _checks.RunError(f"{target} could not be written: {error.strerror}")
