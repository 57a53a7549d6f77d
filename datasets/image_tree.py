"""Directories of images, on disk or in an archive, read once. No TensorFlow."""

import dataclasses
import hashlib
import os
from collections.abc import Iterator, Sequence
from concurrent import futures
from typing import IO

from datasets import archive_checks, archives, sources
from slim import _checks, _files

_COMPRESSED = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ\0": "xz"}
# Names in lower case that systems and network disks add, besides those with a dot.
_IGNORED = frozenset(
    ("thumbs.db", "ehthumbs.db", "desktop.ini", "__macosx", "@eadir", "$recycle.bin")
    + ("system volume information", "lost+found")
)
_LIMITS = archives.Limits(members=20_000_000, bytes=1 << 44)
_MAX_DEPTH = 64
_SPLITS = ("train", "training", "validation", "val", "valid", "test", "testing")
_THREADS = 16  # for the sizes of files, on network disks
_CHUNK = 256  # files per task


@dataclasses.dataclass(slots=True)
class File:
    """A file: its source, size in bytes (-1 if it has none, such as a broken link), modification
    time in ns (0 in an archive), and what its links have in common (None in an archive)."""

    source: sources.Source
    size: int = 0
    time: int = 0
    id: tuple[int, int] | None = None


@dataclasses.dataclass(slots=True)
class Directory:
    """A directory: its files and subdirectories by name, both sorted.

    Names that start with a dot, and those that operating systems add, are left out.
    """

    files: dict[str, File] = dataclasses.field(default_factory=dict)
    directories: dict[str, "Directory"] = dataclasses.field(default_factory=dict)

    def walk(self, *parts: str) -> Iterator[tuple[tuple[str, ...], File]]:
        """Yields the parts of the path of each file, and the file, in the order of the names."""
        for name in sorted({*self.files, *self.directories}):
            if name in self.files:
                yield (*parts, name), self.files[name]
            else:
                yield from self.directories[name].walk(*parts, name)


def is_ignored(name: str) -> bool:
    """Returns whether a file or directory is left out by its name."""
    return name.startswith(".") or name.lower() in _IGNORED


def read(path: str, *, sizes: bool = True) -> Directory:
    """Returns the content of a directory, or of a zip or an uncompressed tar.

    Links are followed, cycles of them once. A single directory that an archive has at its top is
    taken as the root.

    Args:
      path: the directory or archive.
      sizes: whether to read size, time and id of the files of a directory.

    Raises:
      UserError: if it does not exist, cannot be read, or is compressed as a whole.
      RunError: if it is an archive that is damaged, or has members that are no regular files.
    """
    if os.path.isdir(path):
        real = os.path.realpath(path)
        root = _read_directory(path, (real,))
        if sizes:
            _read_sizes(root)
        return root
    return _read_archive(path)


def paths(directory: str) -> list[str]:
    """Returns the paths of all files in a directory and below; raises like `read`."""
    return [file.source.path for _, file in read(directory, sizes=False).walk()]


def summary(root: Directory) -> dict[str, int | str]:
    """Returns the number of files in the subdirectories, and a checksum of their paths and sizes.

    Modification times are ignored, so that a copy of the directory has the same summary.
    """
    digest, count = hashlib.sha256(), 0
    for parts, file in root.walk():
        if len(parts) > 1:
            name = "/".join(parts)
            digest.update(f"{name}\0{file.size}\0".encode("utf-8", "surrogateescape"))
            count += 1
    return {"count": count, "sha256": digest.hexdigest()}


# ---- directories ---------------------------------------------------------------------------------


def _read_directory(path: str, above: tuple[str, ...]) -> Directory:
    """Returns the content, without sizes; `above` has the real paths down to the directory."""
    if len(above) > _MAX_DEPTH:
        raise _checks.UserError(f"{path} is nested more than {_MAX_DEPTH} levels deep")
    directory = Directory()
    try:
        with os.scandir(path) as scanned:
            entries = sorted(scanned, key=lambda entry: entry.name)
    except OSError as error:
        raise _checks.UserError(f"{path} cannot be read: {error.strerror}") from None
    for entry in entries:
        if is_ignored(entry.name):
            continue
        if not _is_directory(entry):
            directory.files[entry.name] = File(sources.FileSource(entry.path))
            continue
        is_link = entry.is_symlink()
        real = os.path.realpath(entry.path) if is_link else f"{above[-1]}/{entry.name}"
        if not (is_link and real in above):  # a cycle
            directory.directories[entry.name] = _read_directory(entry.path, (*above, real))
    return directory


def _is_directory(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()  # a system call for links only
    except OSError:  # a link to itself, which is reported when it is read
        return False


def _read_sizes(root: Directory) -> None:
    """Sets size, time and id of all files, with one system call for each."""
    files = [file for _, file in root.walk()]
    chunks = [files[start : start + _CHUNK] for start in range(0, len(files), _CHUNK)]
    with futures.ThreadPoolExecutor(_THREADS) as pool:
        list(pool.map(read_sizes, chunks))


def read_sizes(files: Sequence[File]) -> None:
    """Sets size, time and id of files on disk; the size of a missing or unreadable one is -1."""
    for file in files:
        try:
            status = os.stat(file.source.path)
            file.size, file.time = status.st_size, status.st_mtime_ns
            file.id = status.st_dev, status.st_ino
        except (OSError, ValueError):  # a broken link, which is reported when it is read
            file.size = -1


# ---- archives ------------------------------------------------------------------------------------


def check_archive(path: str) -> None:
    """Raises UserError if a file is not an archive whose members can be read in any order."""
    with _opened(path) as file:
        magic = file.read(262)
    kind = next((name for start, name in _COMPRESSED.items() if magic.startswith(start)), None)
    if kind is not None:
        raise _checks.UserError(
            f"{path} is compressed as a whole ({kind}), so that its images cannot be read in random"
            f" order. Unpack it, or decompress it: {kind.removesuffix('2')} -dk {path}"
        )
    if not (_is_zip(magic) or magic[257:] == b"ustar"):
        raise _checks.UserError(f"{path} is neither a directory, a zip nor a tar of images")


def read_members(path: str) -> Iterator[tuple[str, File]]:
    """Yields name and file of each member of a zip or an uncompressed tar; raises like `read`."""
    check_archive(path)
    with _opened(path) as file:
        is_zip = _is_zip(file.read(4))
    members: Iterator[tuple[str, sources.Source, int]]
    if is_zip:
        members = (
            (name, sources.ZipSource(path, info.filename), info.file_size)
            for name, info in archives.read_zip_directory(path, _LIMITS)
        )
    else:
        members = (
            (each.name, sources.RangeSource(path, each.offset, each.size, each.name), each.size)
            for each in archives.list_tar(path, _LIMITS)
        )
    yield from ((name, File(source, size)) for name, source, size in members)


def _read_archive(path: str) -> Directory:
    root = Directory()
    for name, file in read_members(path):
        *above, last = name.split("/")
        if any(map(is_ignored, (*above, last))):
            continue
        directory = root
        for part in above:
            directory = directory.directories.setdefault(part, Directory())
        directory.files[last] = file
    _check_names(path, root)
    return _without_top(root)


def _check_names(path: str, directory: Directory) -> None:
    both = directory.files.keys() & directory.directories.keys()
    if both:
        raise _checks.RunError(
            f"Archive {path} is damaged: {archive_checks.shown(min(both))} is both a file and a"
            " directory"
        )
    for each in directory.directories.values():
        _check_names(path, each)


def _without_top(root: Directory) -> Directory:
    """Returns the content of the only directory, if that has directories itself."""
    while not root.files and len(root.directories) == 1:
        ((name, only),) = root.directories.items()
        if not only.directories or name.lower() in _SPLITS:
            break
        root = only
    return root


def _is_zip(magic: bytes) -> bool:
    return magic.startswith((b"PK\3\4", b"PK\5\6"))


def _opened(path: str) -> IO[bytes]:
    try:
        return _files.open_regular(path)
    except OSError as error:
        raise _checks.UserError(f"{path} cannot be read: {error.strerror}") from None


def version(path: str) -> tuple[object, ...]:
    """Returns a value that changes when a directory, or a directory in it, or an archive does."""
    if not os.path.isdir(path):
        return (_state(os.stat(path)),)
    with os.scandir(path) as entries:
        states = [(entry.name, _state(entry.stat())) for entry in entries if entry.is_dir()]
    return (_state(os.stat(path)), *sorted(states))


def _state(status: os.stat_result) -> tuple[int, int, int]:
    return status.st_ino, status.st_size, status.st_mtime_ns
