"""A disk that is full or fails under a run: what could not be written, and what to do."""

import contextlib
import errno
import os
from collections.abc import Iterator, Mapping

import tensorflow as tf

from slim import _checks

_ADVICE: Mapping[int, str] = {
    errno.ENOSPC: "Make room there, or take another --train_dir",
    errno.EDQUOT: "Make room there, or take another --train_dir",
    errno.EFBIG: "Raise the limit on the size of a file (ulimit -f)",
    errno.EMFILE: "Raise the limit on open files (ulimit -n)",
    errno.ENFILE: "Raise the machine's limit on open files",
    errno.EROFS: "The disk takes nothing any more: look at the machine's log",
    errno.EIO: "The disk fails: look at the machine's log",
}


@contextlib.contextmanager
def translated(train_dir: str) -> Iterator[None]:
    """Gives errors of writing the name of the file and the way out.

    Args:
      train_dir: of the run; named where an error does not say which file it was.

    Raises:
      RunError: if the disk takes no more.
    """
    try:
        yield
    except _checks.RunError as error:  # such as a checkpoint's, which names its file
        number = number_of(error.__cause__)
        if number is None:
            raise
        raise _checks.RunError(f"{error}. {_ADVICE[number]}") from error
    except (OSError, tf.errors.OpError) as error:
        number = number_of(error)
        if number is None:
            raise
        place = _file_of(error, number) or f"to {train_dir} or the output"
        raise _checks.RunError(
            f"could not write {place}: {os.strerror(number)}. {_ADVICE[number]}; the last "
            "checkpoint is as it was, and the same command goes on from there"
        ) from error


def number_of(error: BaseException | None) -> int | None:
    """Returns the `errno` of an error of a disk, else None; TensorFlow has one class of error for a
    full disk and for too little memory."""
    if isinstance(error, OSError):
        return error.errno if error.errno in _ADVICE else None
    text = str(error.message) if isinstance(error, tf.errors.OpError) else ""
    return next((each for each in _ADVICE if os.strerror(each) in text), None)


def _file_of(error: OSError | tf.errors.OpError, number: int) -> str:
    if isinstance(error, OSError):
        return error.filename or ""
    # "path; what is wrong" is how TensorFlow's file systems say it.
    return str(error.message).rpartition(f"; {os.strerror(number)}")[0].rpartition(" ")[2]
