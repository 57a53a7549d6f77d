"""Directories and files that survive a crash; no TensorFlow here.

Everything is written in a scratch directory beside its destination and then renamed, so a reader
sees the old file or the new one. A scratch directory is locked by the process that made it: the
kernel frees the lock when the process dies, and the next writer sweeps what is unlocked. The lock
file's text proves that the directory is ours; nothing else is ever swept.
"""

import contextlib
import fcntl
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterator
from typing import IO

from slim import _checks, _files, signals

SCRATCH = ".saving-"
SCRATCH_NAME = re.compile(re.escape(SCRATCH) + "[a-z0-9_]{8}")  # as `tempfile.mkdtemp` names it
_LOCK_TEXT = "slim: temporary files\n"


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
        with _files.open_lock(os.path.join(path, "lock")) as lock:
            try_lock(lock)
            lock.write(_LOCK_TEXT)
            lock.flush()
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
        if not is_scratch(path):
            continue
        with contextlib.ExitStack() as stack:
            # A process killed before it made the lock file leaves a directory without one.
            with contextlib.suppress(FileNotFoundError):
                if not try_lock(
                    stack.enter_context(_files.open_lock(os.path.join(path, "lock"), create=False))
                ):
                    continue
            shutil.rmtree(path, ignore_errors=True)
            swept.append(name)
    return swept


def is_scratch(path: str) -> bool:
    """Returns whether a path is a scratch directory of ours, of a dead process or one at work."""
    try:
        mode = os.lstat(path).st_mode
        if not SCRATCH_NAME.fullmatch(os.path.basename(path)) or not stat.S_ISDIR(mode):
            return False
        names = os.listdir(path)
        if names in ([], ["lock"]):  # a process may have been killed before it wrote the text
            return not names or _lock_text(path) in ("", _LOCK_TEXT)
        return "lock" in names and _lock_text(path) == _LOCK_TEXT
    except (OSError, ValueError):
        return False


def _lock_text(path: str) -> str:
    with _files.open_lock(os.path.join(path, "lock"), create=False) as lock:
        return lock.read(len(_LOCK_TEXT) + 1)


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


def check_replaceable(path: str) -> None:
    """Checks that a path is free or a regular file, the only things that are ever replaced.

    Raises:
      UserError: if it is a link, a directory or a special file.
    """
    kind = _files.kind_of(path)
    if kind not in ("missing", "a regular file"):
        raise _checks.UserError(f"{path} is {kind}, which is never replaced. Move it away")


def write_atomically(path: str, content: bytes) -> None:
    """Writes a file so that a crash leaves either the old content or the new.

    Raises:
      UserError: if a link, a directory or a special file has that name.
    """
    check_replaceable(path)
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
