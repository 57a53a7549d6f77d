"""Directories and files that survive a crash; no TensorFlow here.

Everything is written in a scratch directory beside its destination and then renamed, so a reader
sees the old file or the new one. A scratch directory is locked by the process that made it: the
kernel frees the lock when the process dies, and the next writer sweeps what is unlocked.
"""

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from typing import IO

from slim import _checks, signals

SCRATCH = ".saving-"


def check_writable_directory(path: str | os.PathLike[str], name: str = "directory") -> str:
    """Returns `path` as a string, after making the directory and writing a file in it for trial.

    Args:
      path: the directory, which need not exist.
      name: the argument to name in an error.

    Raises:
      UserError: if the path is empty, is a file, cannot be made or does not take a file.
    """
    path = os.fspath(path)
    if not path:
        raise _checks.UserError(f"{name} is empty; a directory is needed")
    if os.path.lexists(path) and not os.path.isdir(path):
        kind = "a file" if os.path.exists(path) else "a link to nothing"
        raise _checks.UserError(f"{name}={path!r} is {kind}; a directory is needed")
    try:
        os.makedirs(path, exist_ok=True)
    except OSError as error:
        raise _checks.UserError(f"{name}={path!r} cannot be made: {error.strerror}") from error
    try:
        with scratch_directory(path):
            pass
    except OSError as error:
        raise _checks.UserError(f"{name}={path!r} is not writable: {error.strerror}") from error
    return path


def try_lock(file: IO[str]) -> bool:
    """Returns whether this process now holds the lock of an open file; it never waits.

    A file system that knows no locks counts as unlocked.
    """
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


@contextlib.contextmanager
def scratch_directory(directory: str) -> Iterator[str]:
    """Makes a directory for half-written files in `directory`, and removes it on leaving."""
    path = ""
    try:
        with signals.deferred():
            path = tempfile.mkdtemp(prefix=SCRATCH, dir=directory)
        with open(os.path.join(path, "lock"), "w", encoding="utf-8") as lock:
            try_lock(lock)
            yield path
    finally:
        with signals.deferred():
            if path:
                shutil.rmtree(path, ignore_errors=True)


def sweep_scratch(directory: str) -> list[str]:
    """Removes the scratch directories of dead processes and returns their names."""
    swept = []
    for name in sorted(os.listdir(directory)):
        path = os.path.join(directory, name)
        if not name.startswith(SCRATCH) or not os.path.isdir(path):
            continue
        with contextlib.ExitStack() as stack:
            # A process killed before it made the lock file leaves a directory without one.
            with contextlib.suppress(FileNotFoundError):
                lock = stack.enter_context(open(os.path.join(path, "lock"), "r+", encoding="utf-8"))
                if not try_lock(lock):
                    continue
            shutil.rmtree(path, ignore_errors=True)
            swept.append(name)
    return swept


def flush_to_disk(path: str) -> None:
    """Forces a file, or the names in a directory, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def named_in_errors(path: str) -> Iterator[None]:
    """Gives an `OSError` of the block the name of the file that it writes; a full disk's has
    none."""
    try:
        yield
    except OSError as error:
        error.filename = path
        raise


def write_atomically(path: str, content: bytes) -> None:
    """Writes a file so that a crash leaves either the old content or the new."""
    directory, base = os.path.split(os.path.abspath(path))
    with named_in_errors(path), scratch_directory(directory) as scratch:
        fresh = os.path.join(scratch, base)
        with open(fresh, "wb") as file:
            file.write(content)
        flush_to_disk(fresh)
        os.replace(fresh, path)
    flush_to_disk(directory)


def write_new_file(path: str, content: bytes) -> None:
    """Writes a file like `write_atomically`, creating its directory if needed."""
    with named_in_errors(path):
        os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    write_atomically(path, content)


def check_space(directory: str, num_bytes: int) -> None:
    """Checks that a file of so many bytes fits into a directory.

    For writers that do not survive a full disk: HDF5 fails again whenever it closes the file.

    Raises:
      OSError: if it does not fit, or is larger than the limit on the file size.
    """
    with tempfile.TemporaryFile(dir=directory) as file:
        os.posix_fallocate(file.fileno(), 0, num_bytes)
