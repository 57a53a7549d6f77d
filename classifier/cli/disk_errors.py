"""Errors of the file system as one line: which file, why, and what to do; no TensorFlow."""

import contextlib
import errno
import os
import re
import sys
from collections.abc import Iterator, Mapping

from slim import _checks

_FREE_SPACE = "Free some space there, or use another directory"
# Errors of the disk itself.
_DISK_ADVICE: Mapping[int, str] = {
    errno.ENOSPC: _FREE_SPACE,  # or no inodes are left
    errno.EDQUOT: _FREE_SPACE,
    errno.EFBIG: "Raise the limit on the file size (ulimit -f)",
    errno.EMFILE: "Raise the limit on open files (ulimit -n)",
    errno.ENFILE: "Raise the system's limit on open files",
    errno.EROFS: "Use another directory, or make it writable",
    errno.EIO: "Check the system log",
    errno.ESTALE: "Check the network file system",
}
# Errors of a wrong path.
_PATH_ADVICE: Mapping[int, str] = {
    errno.EACCES: "Check the permissions",
    errno.EPERM: "Check the permissions",
    errno.ENOENT: "",
    errno.ENOTDIR: "",
    errno.EISDIR: "",
    errno.ELOOP: "",
    errno.ENAMETOOLONG: "Use a shorter name",
}
_ADVICE = {**_DISK_ADVICE, **_PATH_ADVICE}


@contextlib.contextmanager
def translated(train_dir: str) -> Iterator[None]:
    """Translates file system errors of a training run.

    Args:
      train_dir: directory of the run, for errors that do not name their file.

    Raises:
      RunError: if a file cannot be written.
    """
    try:
        yield
    except Exception as error:
        kept = "The last checkpoint is intact; the same command resumes from it"
        message = describe(error, f"to {train_dir} or the output", kept)
        if message is None:
            raise
        raise _checks.RunError(message) from error


def describe(error: Exception, place: str = "the output", kept: str = "") -> str | None:
    """Returns a line about an error of the file system, or None for other errors.

    Args:
      error: an `OSError`, TensorFlow's, HDF5's, or a RunError that one of these has caused.
      place: what to name if the error does not name its file.
      kept: sentence about what is intact.
    """
    cause = error
    if isinstance(error, _checks.RunError) and isinstance(error.__cause__, Exception):
        cause = error.__cause__  # such as an error of a checkpoint, which names its file
    number = _number_of(cause)
    if number is None or isinstance(error, _checks.UserError):
        return None
    advice = _ADVICE[number]
    if cause is not error:
        # Messages of HDF5 have many lines.
        sentences = [str(error).replace(str(cause), os.strerror(number)), advice]
    else:
        file = _file_of(cause, number)
        removed = _removed_directory(file) if number == errno.ENOENT else ""
        verb = "write" if number in _DISK_ADVICE else "access"
        sentences = [
            f"could not {verb} {file or place}: {os.strerror(number)}",
            advice or (f"{removed} was removed or does not exist" if removed else ""),
            kept,
        ]
    return ". ".join(each.rstrip(".") for each in sentences if each)


def number_of(error: BaseException | None) -> int | None:
    """Returns the `errno` of a disk error, else None: TensorFlow has the same class of error for a
    full disk and for lack of memory."""
    number = _number_of(error)
    return number if number in _DISK_ADVICE else None


def _number_of(error: BaseException | None) -> int | None:
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno if error.errno in _ADVICE else None
    text = _text(error)
    # HDF5 quotes the errno in its message.
    quoted = re.search(r"errno = (\d+)", text)
    if quoted:
        return int(quoted[1]) if int(quoted[1]) in _ADVICE else None
    return next((each for each in _ADVICE if f"{os.strerror(each)}" in text), None)


def _text(error: BaseException | None) -> str:
    """Returns the message of an error that quotes the file system's."""
    errors = getattr(sys.modules.get("tensorflow"), "errors", None)
    if errors is not None and isinstance(error, errors.OpError):
        return str(error.message)
    is_of_hdf5 = isinstance(error, OSError | RuntimeError | ValueError) and "file" in str(error)
    return str(error) if is_of_hdf5 and not isinstance(error, _checks.UserError) else ""


def _file_of(error: BaseException, number: int) -> str:
    if isinstance(error, OSError) and error.filename:
        return os.fsdecode(error.filename) if not isinstance(error.filename, int) else ""
    text = _text(error)
    quoted = re.search(r"(?:file)?name = '([^']*)'", text)
    if quoted:
        return quoted[1]
    # Messages of TensorFlow's file systems: "path; what is wrong".
    return text.rpartition(f"; {os.strerror(number)}")[0].rpartition(" ")[2]


def _removed_directory(path: str) -> str:
    """Returns the topmost directory of a path that does not exist."""
    removed, above = "", os.path.dirname(os.path.abspath(path))
    while path and not os.path.exists(above):
        removed, above = above, os.path.dirname(above)
    return removed
