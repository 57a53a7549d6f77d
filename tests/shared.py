"""Directories that the workers of a test run fill once and share."""

import fcntl
import os
import pathlib
import shutil
from collections.abc import Callable

import pytest


def directory(
    tmp_path_factory: pytest.TempPathFactory, name: str, fill: Callable[[pathlib.Path], None]
) -> pathlib.Path:
    """Returns a directory that the first worker to ask for it fills while the others wait.

    Args:
      tmp_path_factory: the fixture.
      name: name of the directory.
      fill: a function that writes to the empty directory. A test must not write to it later.
    """
    base = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent
    place, complete = base / name, base / f"{name}.complete"
    with open(base / f"{name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not complete.exists():
            shutil.rmtree(place, ignore_errors=True)  # of a worker that failed
            place.mkdir()
            fill(place)
            complete.touch()
    return place
