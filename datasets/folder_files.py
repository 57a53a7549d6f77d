"""Finds the files in a directory of images."""

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
