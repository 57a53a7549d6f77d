"""Finds the files in a directory of images, and summarizes them to detect changes."""

import hashlib
import os
from collections.abc import Iterator

_IGNORED = ("Thumbs.db", "desktop.ini")


def find(directory: str, parents: frozenset[str] = frozenset()) -> Iterator[str]:
    """Yields the paths of everything but directories, sorted; follows a cycle of links once.

    Args:
      directory: searched recursively; names that start with a dot are ignored.
      parents: real paths of the directories above it.
    """
    parents = parents | {os.path.realpath(directory)}
    for entry in sorted(os.scandir(directory), key=lambda entry: entry.name):
        if entry.name.startswith(".") or entry.name in _IGNORED:
            continue
        if not os.path.isdir(entry.path):
            yield entry.path
        elif os.path.realpath(entry.path) not in parents:
            yield from find(entry.path, parents)


def summary(source_dir: str) -> dict[str, int | str]:
    """Returns the number of files in the subdirectories, and a checksum of their paths and sizes.

    Modification times are ignored, so that a copy of the directory has the same summary.
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
    except OSError:  # such as a broken link
        return -1
