"""Asserts that a user's directory stays unchanged, byte for byte."""

import contextlib
import os
import pathlib


def snapshot(root):
    """Returns mode, file time and content of all entries below a directory; follows no links."""
    entries = {}
    for parent, directories, files in os.walk(root):
        for name in (*directories, *files):
            path = pathlib.Path(parent, name)
            status = path.lstat()
            content = None
            if path.is_symlink():
                content = os.readlink(path)
            elif path.is_file():
                content = path.read_bytes()
            time = None if path.is_dir() else status.st_mtime_ns
            entries[str(path.relative_to(root))] = (status.st_mode, time, content)
    return entries


@contextlib.contextmanager
def unchanged(root):
    """Asserts that the block changes nothing below a directory."""
    before = snapshot(root)
    yield
    assert snapshot(root) == before
