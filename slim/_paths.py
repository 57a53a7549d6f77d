"""Atomic writes of files, and temporary directories; no TensorFlow here.

Files are written in a scratch directory next to their destination and then renamed, so readers
see the old file or the new one. A scratch directory is locked by the process that created it. The
kernel releases the lock when the process ends, and the next writer removes unlocked ones. The text
of the lock file proves that slim created the directory; nothing else is removed.
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
from slim._problems import Problem, named

SCRATCH = ".saving-"
SCRATCH_NAME = re.compile(re.escape(SCRATCH) + "[a-z0-9_]{8}")  # as `tempfile.mkdtemp` names it
_LOCK_TEXT = "slim: temporary files\n"


def check_writable_directory(path: str | os.PathLike[str], name: str = "directory") -> str:
    """Creates a directory if needed, checks that it is writable, and returns its path as a string.

    Args:
      path: the directory.
      name: the argument's name in error messages.

    Raises:
      UserError: if the path is empty or a file, or the directory cannot be created or written to.
    """
    path = os.fspath(path)
    option = named(name, repr(path))
    if not path:
        raise _checks.UserError(Problem("{} is empty; a directory is needed", named(name)))
    if os.path.lexists(path) and not os.path.isdir(path):
        kind = "a file" if os.path.exists(path) else "a broken link"
        raise _checks.UserError(Problem("{} is {}; a directory is needed", option, kind))
    try:
        os.makedirs(path, exist_ok=True)
    except OSError as error:
        problem = Problem("{} cannot be created: {}", option, error.strerror)
        raise _checks.UserError(problem) from error
    try:
        with scratch_directory(path):
            pass
    except OSError as error:
        problem = Problem("{} is not writable: {}", option, error.strerror)
        raise _checks.UserError(problem) from error
    return path


def try_lock(file: IO[str]) -> bool:
    """Locks an open file without waiting; returns whether this process holds the lock.

    On a file system without locks, it always does.
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
    """Creates a directory for unfinished files in `directory`, and removes it at the end."""
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
            # A process may have been killed before it created the lock file.
            with contextlib.suppress(FileNotFoundError):
                if not try_lock(
                    stack.enter_context(_files.open_lock(os.path.join(path, "lock"), create=False))
                ):
                    continue
            shutil.rmtree(path, ignore_errors=True)
            swept.append(name)
    return swept


def is_scratch(path: str) -> bool:
    """Returns whether a path is a scratch directory, of a running process or an ended one."""
    try:
        mode = os.lstat(path).st_mode
        if not SCRATCH_NAME.fullmatch(os.path.basename(path)) or not stat.S_ISDIR(mode):
            return False
        names = os.listdir(path)
        if names in ([], ["lock"]):  # the process may have been killed before it wrote the text
            return not names or _lock_text(path) in ("", _LOCK_TEXT)
        return "lock" in names and _lock_text(path) == _LOCK_TEXT
    except (OSError, ValueError):
        return False


def _lock_text(path: str) -> str:
    with _files.open_lock(os.path.join(path, "lock"), create=False) as lock:
        return lock.read(len(_LOCK_TEXT) + 1)


def flush_to_disk(path: str) -> None:
    """Flushes a file, or the names in a directory, to disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def named_in_errors(path: str) -> Iterator[None]:
    """Adds the file name to an `OSError` of the block: for a full disk, it has none."""
    try:
        yield
    except OSError as error:
        error.filename = path
        raise


def check_replaceable(path: str) -> None:
    """Checks that a path does not exist or is a regular file; nothing else is ever replaced.

    Raises:
      UserError: if it is a link, a directory or a special file.
    """
    kind = _files.kind_of(path)
    if kind not in ("missing", "a regular file"):
        raise _checks.UserError(f"{path} is {kind}, which is never replaced. Move it away")


def write_atomically(path: str, content: bytes) -> None:
    """Writes a file atomically: after a crash, it has either the old or the new content.

    Raises:
      UserError: if it is a link, a directory or a special file.
    """
    check_replaceable(path)
    directory, base = os.path.split(os.path.abspath(path))
    with named_in_errors(path), scratch_directory(directory) as scratch:
        temporary = os.path.join(scratch, base)
        with open(temporary, "wb") as file:
            file.write(content)
        flush_to_disk(temporary)
        os.replace(temporary, path)
    flush_to_disk(directory)


@contextlib.contextmanager
def new_file(path: str) -> Iterator[IO[bytes]]:
    """Opens a file to write like `write_new_file`, in parts; it is not kept if the block fails.

    Raises:
      UserError: if it is a link, a directory or a special file.
    """
    check_replaceable(path)
    directory, base = os.path.split(os.path.abspath(path))
    with named_in_errors(path):
        os.makedirs(directory, exist_ok=True)
    with scratch_directory(directory) as scratch:
        temporary = os.path.join(scratch, base)
        with open(temporary, "wb") as file:
            yield file
        with named_in_errors(path):
            flush_to_disk(temporary)
            os.replace(temporary, path)
    flush_to_disk(directory)


def write_new_file(path: str, content: bytes) -> None:
    """Writes a file like `write_atomically`, and creates its directory if needed."""
    with named_in_errors(path):
        os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    write_atomically(path, content)


def check_space(directory: str, num_bytes: int) -> None:
    """Checks that there is space for a file in a directory.

    For writers that do not handle a full disk: HDF5 fails again whenever it closes the file.

    Raises:
      OSError: if it does not fit, or is larger than the limit on the file size.
    """
    with tempfile.TemporaryFile(dir=directory) as file:
        os.posix_fallocate(file.fileno(), 0, num_bytes)
