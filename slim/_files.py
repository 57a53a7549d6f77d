"""Opens files of unknown origin; no TensorFlow here.

In place of a file, a FIFO or a device may block or never end, a link may point anywhere, and a file
may be larger than memory. All files are read through `open_regular` or `read_bounded`, and written
through `open_output`, `open_lock` or `create_exclusive` or the functions of `slim._paths`.
"""

import errno
import itertools
import os
import stat
from collections.abc import Iterator
from typing import IO, Any

from slim import _checks

MAX_LINE_BYTES = 1 << 16  # of a text file


def open_regular(path: str | os.PathLike[str], buffering: int = -1) -> IO[bytes]:
    """Opens a regular file for reading, without ever blocking.

    Links are followed: users may keep data elsewhere.

    Args:
      path: the file.
      buffering: as in `open`.

    Raises:
      OSError: if it cannot be opened, or is a directory, FIFO, socket or device.
    """
    return _open(path, os.O_RDONLY, "rb", buffering=buffering)


def read_bounded(path: str | os.PathLike[str], max_bytes: int) -> bytes:
    """Returns the content of a regular file.

    Args:
      path: the file.
      max_bytes: maximum size.

    Raises:
      OSError: as `open_regular`, or if the file is larger (`errno.EFBIG`).
    """
    with open_regular(path) as file:
        content = file.read(max_bytes + 1)
    if len(content) > max_bytes:
        raise OSError(errno.EFBIG, f"larger than {max_bytes} bytes", os.fspath(path))
    return content


def open_lock(path: str | os.PathLike[str], *, create: bool = True) -> IO[str]:
    """Opens a file for locking, creates it if needed and keeps its content.

    Args:
      path: the file.
      create: whether to create the file.

    Raises:
      OSError: if it is a link (`errno.ELOOP`), not a regular file, or cannot be created.
    """
    flags = os.O_RDWR | os.O_NOFOLLOW | (os.O_CREAT if create else 0)
    return _open(path, flags, "r+", encoding="utf-8", errors="replace")


def move_aside(path: str) -> str:
    """Renames a path to `PATH.damaged`, or `PATH.damaged-N`, and returns the new name."""
    backup, number = f"{path}.damaged", 1
    while os.path.lexists(backup):
        number += 1
        backup = f"{path}.damaged-{number}"
    os.rename(path, backup)
    return backup


def create_exclusive(path: str | os.PathLike[str]) -> IO[bytes]:
    """Creates a file for writing.

    Raises:
      FileExistsError: if the path exists, even as a broken link.
    """
    return _open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, "wb")


def open_output(path: str | os.PathLike[str], *, append: bool) -> IO[bytes]:
    """Opens a file for writing and creates it if needed.

    Args:
      path: the file.
      append: whether to keep the content and append to it.

    Raises:
      OSError: if it is a link (`errno.ELOOP`) or not a regular file; it is unchanged then.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | (os.O_APPEND if append else 0)
    file: IO[bytes] = _open(path, flags, "ab" if append else "wb")
    if not append:
        file.truncate()
    return file


def _open(path: str | os.PathLike[str], flags: int, mode: str, **options: Any) -> IO[Any]:
    if "\0" in os.fsdecode(path):  # from a list of paths; open() raises a ValueError
        raise OSError(errno.EINVAL, "its path contains a NUL character", os.fspath(path))
    # O_NONBLOCK: a FIFO without a writer would block in open() itself.
    descriptor = os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC, 0o666)
    try:
        _check_regular(descriptor, path)
        os.set_blocking(descriptor, True)
        return os.fdopen(descriptor, mode, **options)
    except BaseException:
        os.close(descriptor)
        raise


def kind_of(path: str | os.PathLike[str]) -> str:
    """Returns the type of a path: "a regular file", "a link", "a FIFO", "missing", ..."""
    try:
        return _in_words(os.lstat(path).st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return "missing"


def read_text_lines(path: str | os.PathLike[str]) -> Iterator[tuple[int, str]]:
    """Yields the number, from 1, and text of each line of a UTF-8 file that is not blank.

    Raises:
      UserError: if the file cannot be read, or a line is not UTF-8 or longer than `MAX_LINE_BYTES`.
    """
    try:
        with open_regular(path) as file:
            for number in itertools.count(1):
                line = file.readline(MAX_LINE_BYTES + 1)
                if not line:
                    return
                if len(line) > MAX_LINE_BYTES:
                    raise ValueError(f"it is longer than {MAX_LINE_BYTES} bytes")
                text = line.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
                if text.strip():
                    yield number, text
    except OSError as error:
        raise _checks.UserError(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise _checks.UserError(
            f"{path}, line {number}: it is not UTF-8 text; save the file as UTF-8"
        ) from None
    except ValueError as error:
        raise _checks.UserError(f"{path}, line {number}: {error}") from None


def _check_regular(descriptor: int, path: str | os.PathLike[str]) -> None:
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, "not a regular file (a directory)", os.fspath(path))
    if not stat.S_ISREG(mode):
        text = f"not a regular file ({_in_words(mode)})"
        raise OSError(errno.EINVAL, text, os.fspath(path))


def _in_words(mode: int) -> str:
    kinds = (
        (stat.S_ISREG, "a regular file"),
        (stat.S_ISDIR, "a directory"),
        (stat.S_ISLNK, "a link"),
        (stat.S_ISFIFO, "a FIFO"),
        (stat.S_ISSOCK, "a socket"),
        (stat.S_ISCHR, "a device"),
        (stat.S_ISBLK, "a device"),
    )
    return next((words for fits, words in kinds if fits(mode)), "a special file")
