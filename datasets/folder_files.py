"""The files of a folder of pictures, and what tells whether they are still those. No TensorFlow."""

import hashlib
import os
from collections.abc import Iterator

_IGNORED = ("Thumbs.db", "desktop.ini")


def find(folder: str, above: frozenset[str] = frozenset()) -> Iterator[str]:
    """Yields what is no folder, sorted; a folder that a link leads back to is entered once.

    Args:
      folder: where to look, also in the folders below; names that start with a dot are left alone.
      above: real paths of the folders that it is in.
    """
    inside = above | {os.path.realpath(folder)}
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        if entry.name.startswith(".") or entry.name in _IGNORED:
            continue
        if not os.path.isdir(entry.path):
            yield entry.path
        elif os.path.realpath(entry.path) not in inside:
            yield from find(entry.path, inside)


def summary(source_dir: str) -> dict[str, int | str]:
    """Returns how many files the folders in a folder hold, and a checksum of paths and sizes.

    Times do not count: a copy of the folder is the same.
    """
    digest, count = hashlib.sha256(), 0
    for path in find(source_dir):
        name = os.path.relpath(path, source_dir)
        if os.path.dirname(name):
            digest.update(f"{name}\0{_size(path)}\0".encode("utf-8", "surrogateescape"))
            count += 1
    return {"count": count, "sha256": digest.hexdigest()}


def _size(path: str) -> int:
    try:
        return os.path.getsize(path)
    except OSError:  # such as a link to nothing
        return -1
