"""A lock against several training runs in a directory; no TensorFlow here."""

import contextlib
import dataclasses
import datetime
import json
import os
import socket
from types import TracebackType
from typing import IO, Self

from slim import _checks, _files, _json, _paths

LOCK_FILE = "train.lock"
_PREFIX = '{"pid": '  # of a lock file's content
_MAX_CHARACTERS = 4096


@dataclasses.dataclass(frozen=True)
class _Holder:
    """The lock file's content: the process that holds the lock."""

    pid: int
    host: _json.Name
    since: _json.Name


class TrainDirLock:
    """Locks a directory for this process: `with TrainDirLock(train_dir): ...`.

    The kernel (`flock`) releases the lock when the process ends, even if it is killed. The lock
    file contains its holder: process, host and start time.
    """

    def __init__(self, directory: str | os.PathLike[str]) -> None:
        self._directory = os.fspath(directory)
        self._path = os.path.join(self._directory, LOCK_FILE)
        self._file: IO[str] | None = None

    def __enter__(self) -> Self:
        """Acquires the lock, and creates the directory if needed.

        Raises:
          UserError: if another process (or another lock of this one) holds the directory, it is not
            writable, or the lock file is of another program.
        """
        _paths.check_writable_directory(self._directory)
        while self._file is None:
            file = self._open()
            if not _paths.try_lock(file):
                holder = _holder(file)
                file.close()
                raise _checks.UserError(
                    f"{self._directory} is in use by {holder}; wait for it, stop it, or choose "
                    "another directory"
                )
            if _is_at(file, self._path):
                self._file = file
            else:
                # The former holder has removed the file after it was opened here.
                file.close()
        self._file.seek(0)
        self._file.truncate()
        json.dump(_this_process(), self._file)
        self._file.flush()
        return self

    def _open(self) -> IO[str]:
        advice = "Move it away, or choose another directory"
        try:
            file = _files.open_lock(self._path)
        except OSError as error:
            kind = _files.kind_of(self._path)
            reason = kind if kind != "a regular file" else error.strerror
            raise _checks.UserError(
                f"{self._path} cannot be used as a lock: {reason}. {advice}"
            ) from None
        if file.read(len(_PREFIX)) not in ("", _PREFIX):
            file.close()
            raise _checks.UserError(
                f"{self._path} cannot be used as a lock: a file of another program. {advice}"
            )
        return file

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Removes the file, then releases the lock."""
        if self._file is not None:
            with contextlib.suppress(OSError):
                if _is_at(self._file, self._path):
                    os.remove(self._path)
            self._file.close()
            self._file = None


def _this_process() -> dict[str, str | int]:
    since = datetime.datetime.now().astimezone().isoformat(sep=" ", timespec="seconds")
    return {"pid": os.getpid(), "host": socket.gethostname(), "since": since}


def _holder(file: IO[str]) -> str:
    file.seek(0)
    try:
        holder = _json.decode(file.read(_MAX_CHARACTERS).encode("utf-8", "replace"), _Holder)
    except (OSError, ValueError):
        return "another process"
    return _json.printable(f"process {holder.pid} on host {holder.host} since {holder.since}")


def _is_at(file: IO[str], path: str) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), os.lstat(path))
    except FileNotFoundError:
        return False
