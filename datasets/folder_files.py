"""Finds the files in a directory of images."""

import os
from collections.abc import Iterator

from datasets import image_tree


def find(directory: str, parents: frozenset[str] = frozenset()) -> Iterator[str]:
    """Yields the paths of everything but directories, sorted; follows a cycle of links once.

    Args:
      directory: searched recursively, without the names of `image_tree.is_ignored`.
      parents: real paths of the directories above it.
    """
    parents = parents | {os.path.realpath(directory)}
    for entry in sorted(os.scandir(directory), key=lambda entry: entry.name):
        if image_tree.is_ignored(entry.name):
            continue
        if not os.path.isdir(entry.path):
            yield entry.path
        elif os.path.realpath(entry.path) not in parents:
            yield from find(entry.path, parents)
