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
    except OSError as error:
        if error.errno not in _ADVICE:
            raise
        place = error.filename or f"to {train_dir} or the output"
        raise _checks.RunError(_in_words(place, error.errno)) from error
    except tf.errors.OpError as error:
        number = number_of(error)
        if number is None:
            raise
        # "path; what is wrong" is how TensorFlow's file systems say it.
        place = str(error.message).rpartition(f"; {os.strerror(number)}")[0].rpartition(" ")[2]
        raise _checks.RunError(_in_words(place or f"to {train_dir}", number)) from error


def number_of(error: tf.errors.OpError) -> int | None:
    """Returns the `errno` behind an error of TensorFlow if it is one of a disk, else None; a full
    disk and too little memory are of one class."""
    return next((each for each in _ADVICE if os.strerror(each) in str(error.message)), None)


def _in_words(place: str, number: int) -> str:
    return (
        f"could not write {place}: {os.strerror(number)}. {_ADVICE[number]}; the last "
        "checkpoint is as it was, and the same command goes on from there"
    )
