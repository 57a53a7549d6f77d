"""The image files that a command line names."""

import glob
import os
import sys
from collections.abc import Iterable, Iterator, Sequence

from datasets import image_tree
from slim import _checks, _files
from slim._problems import Problem, named

STANDARD_INPUT = "-"


def find(images: Sequence[str], image_list: str | None = None) -> list[str]:
    """Returns the paths of image files, in the order of the command line; each once.

    Args:
      images: files, directories, which are searched recursively, patterns, and "-" for paths on
        standard input.
      image_list: text file with one path per line.

    Raises:
      UserError: if one of them matches no file.
    """
    paths = [path for pattern in images for path in _matches(pattern)]
    if image_list is not None:
        lines = (line for _, line in _files.read_text_lines(image_list))
        paths += _listed(lines, named("image_list", image_list))
    return list(dict.fromkeys(paths))


def _matches(pattern: str) -> list[str]:
    if pattern == STANDARD_INPUT:
        lines = (os.fsdecode(line) for line in sys.stdin.buffer)
        return _listed(lines, "standard input")
    if os.path.isdir(pattern):
        files = image_tree.paths(pattern)
    elif os.path.lexists(pattern):
        # A file whose name contains brackets is a file, not a pattern.
        files = [pattern]
    else:
        files = sorted(_expanded(glob.glob(pattern, recursive=True)))
    if not files:
        raise _checks.UserError(Problem("{} matches no file", named("images", repr(pattern))))
    return files


def _expanded(paths: Iterable[str]) -> Iterator[str]:
    """Yields files, and those in the directories that a pattern matches, which may be nested."""
    for path in paths:
        if os.path.isdir(path):
            yield from image_tree.paths(path)
        else:
            yield path


def _listed(lines: Iterable[str], where: str) -> list[str]:
    paths = [path for line in lines if (path := line.rstrip("\r\n")).strip()]
    if not paths:
        raise _checks.UserError(Problem("{} has no paths", where))
    return paths
