"""Distinguishes slim's directories and files from the user's; no TensorFlow here.

Directories that slim writes to are marked by a file, `.slim`. Only new or empty directories are
marked, and those recognized as written by an earlier version. A directory with anything else
belongs to the user: using it is an error, and nothing in it is removed.
"""

import contextlib
import dataclasses
import json
import os
import re
import shutil
import stat
import sys
from collections.abc import Callable, Iterable
from typing import Annotated, Any

import msgspec

from slim import _checks, _files, _json, _paths
from slim._problems import Problem, named

MARK = ".slim"
_VERSION = 1  # of the mark's format
_MAX_BYTES = 1 << 20
# Files of operating systems and file systems.
_SYSTEM_FILES = re.compile(
    r"\.DS_Store|\.localized|\.directory|\.Spotlight-V100|\.Trashes|\.fseventsd|\.snapshots?"
    r"|\.nfs[0-9a-f]+|Thumbs\.db|desktop\.ini|lost\+found"
)
_ADVICE = "Use another directory, new or empty"
_KINDS = {
    "dataset": "a dataset",
    "run": "a training run",
    "export": "an export",
    "evaluation": "an evaluation",
    "report": "a report",
    "explanations": "explanations of predictions",
    "downloads": "downloads",
    "conversion": "an unfinished conversion",
    "cache": "cached shards",
}


@dataclasses.dataclass(frozen=True)
class Mark:
    """The content of a mark.

    Attributes:
      kind: kind of directory, a key of `_KINDS`.
      version: version of the mark's format.
      command: the program that created it.
      files: names of slim's files in it; empty if everything in it is slim's.
    """

    kind: str
    version: Annotated[int, msgspec.Meta(ge=1)]
    command: str = ""
    files: tuple[str, ...] = ()


def read_mark(directory: str) -> Mark | None:
    """Returns a directory's mark, or None without a valid one."""
    path = os.path.join(directory, MARK)
    if not is_regular(path):
        return None
    try:
        return _json.read(path, Mark, advice="", max_bytes=_MAX_BYTES)
    except _checks.UserError:
        return None


def check(
    directory: str,
    kind: str,
    *,
    name: str = "directory",
    recognize: Callable[[str], bool] | None = None,
    also: Iterable[str] = (),
) -> None:
    """Checks that a directory may be written to, without changing it.

    Args:
      directory: the directory, or a link to one; need not exist.
      kind: kind of directory, a key of `_KINDS`.
      name: the argument's name in error messages.
      recognize: returns whether an unmarked directory was written by an earlier version.
      also: further kinds that are allowed.

    Raises:
      UserError: if it contains anything that slim did not create, or is of another kind.
    """
    try:
        entries = sorted(os.listdir(directory))
    except (FileNotFoundError, NotADirectoryError):
        return  # `check_writable_directory` reports errors
    except OSError as error:
        problem = Problem("{} cannot be read: {}", named(name, repr(directory)), error.strerror)
        raise _checks.UserError(problem) from None
    option, mark = named(name, repr(directory)), read_mark(directory)
    if mark is not None:
        if mark.kind not in (kind, *also):
            content = _KINDS.get(mark.kind, "something else")
            raise _checks.UserError(
                Problem("{} holds {}, not {}. {}", option, content, _KINDS[kind], _ADVICE)
            )
        return
    others = [entry for entry in entries if not _is_tolerated(directory, entry)]
    if others and not (recognize and recognize(directory)):
        shown = _checks.listed(map(_json.printable, others), 5)
        raise _checks.UserError(
            Problem("{} holds files that slim did not create: {}. {}", option, shown, _ADVICE)
        )


def claim(directory: str, kind: str, *, name: str = "directory", **options: Any) -> None:
    """Creates a directory if needed and marks it; arguments as in `check`.

    Raises:
      UserError: as in `check`, or if it cannot be written to.
      RunError: if there is no space left.
    """
    check(directory, kind, name=name, **options)
    _paths.check_writable_directory(directory, name)
    if read_mark(directory) is None:
        _write_mark(directory, kind)


def release(directory: str) -> None:
    """Removes the mark from a directory without anything else, after work that wrote nothing."""
    with contextlib.suppress(OSError):
        if os.listdir(directory) == [MARK] and read_mark(directory) is not None:
            os.remove(os.path.join(directory, MARK))


def work_directory(path: str, kind: str, files: Iterable[str] = ()) -> None:
    """Creates a directory for temporary files, or reuses one that this function created.

    Args:
      path: the directory.
      kind: kind of directory, a key of `_KINDS`.
      files: names of slim's files in it; if empty, everything in it is slim's.

    Raises:
      UserError: if the path is anything else.
    """
    with contextlib.suppress(FileExistsError):
        os.mkdir(path)
    mark = read_own_mark(path, kind)
    if not is_real_directory(path) or (
        mark is None and any(not _is_empty_mark(path, name) for name in os.listdir(path))
    ):
        raise _checks.UserError(
            f"{path} ({_files.kind_of(path)}) was not created by slim."
            " Move it away, or use another directory"
        )
    if mark is None:
        _write_mark(path, kind, tuple(files))
    elif new := [name for name in files if name not in mark.files]:
        content = _content(kind, (*mark.files, *new))
        _paths.write_atomically(os.path.join(path, MARK), content)


def read_own_mark(path: str, kind: str) -> Mark | None:
    """Returns the mark of a directory, not a link to one, if it is of this kind."""
    mark = read_mark(path) if is_real_directory(path) else None
    return mark if mark and mark.kind == kind else None


def remove(path: str, kind: str) -> None:
    """Removes a directory of `work_directory`, or the files that its mark names.

    Links are not followed. Other directories are not removed.
    """
    mark = read_own_mark(path, kind)
    if mark is None:
        return
    if not mark.files:
        shutil.rmtree(path)  # fails for a link, and follows none
        return
    for name in mark.files:
        with contextlib.suppress(FileNotFoundError):
            if os.path.basename(name) == name and is_regular(os.path.join(path, name)):
                os.remove(os.path.join(path, name))
    if os.listdir(path) == [MARK]:
        shutil.rmtree(path)


def check_entries(directory: str, *, files: Iterable[str], directories: Iterable[str]) -> None:
    """Checks that entries with slim's names are files and directories, not links or special files.

    Raises:
      UserError: for the first one that is not.
    """
    for names, expected, fits in (
        (files, "a regular file", is_regular),
        (directories, "a directory", is_real_directory),
    ):
        for name in names:
            path = os.path.join(directory, name)
            if os.path.lexists(path) and not fits(path):
                raise _checks.UserError(
                    f"{path} is {_files.kind_of(path)}, not {expected}. Move it away, or use"
                    " another directory"
                )


def check_apart(**paths: str | None) -> None:
    """Checks that two directories, by the names of their options, do not overlap.

    Raises:
      UserError: if they are the same, or one is inside the other; links are resolved.
    """
    (name, path), (other_name, other) = paths.items()
    if path is None or other is None:
        return
    inside, above = _is_within(path, other), _is_within(other, path)
    if inside or above:
        relation = "the same as" if inside and above else "inside" if inside else "above"
        raise _checks.UserError(
            Problem(
                "{} is {} {}. Use a separate directory",
                named(name, repr(path)),
                relation,
                named(other_name, repr(other)),
            )
        )


def check_output(path: str, name: str, what: str, is_earlier: Callable[[str], bool]) -> None:
    """Checks that an output file does not exist, or is an earlier output.

    Args:
      path: the file.
      name: the argument to name in an error.
      what: kind of output, in words.
      is_earlier: returns whether an existing file is an earlier output of the same kind.

    Raises:
      UserError: if it is anything else.
    """
    if not os.path.lexists(path):
        return
    problem = ""
    if not is_regular(path):
        problem = f"is {_files.kind_of(path)}"
    elif os.path.getsize(path) and not is_earlier(path):
        problem = f"exists and is not {what}"
    if problem:
        template = "{} {}. Use another file name, or move it away"
        raise _checks.UserError(Problem(template, named(name, repr(path)), problem))


def has_keys(path: str, keys: Iterable[str], max_bytes: int = _json.MAX_BYTES) -> bool:
    """Returns whether a file contains a JSON object with these keys."""
    try:
        values: Any = _json.read(path, dict[str, Any], advice="", max_bytes=max_bytes)
    except _checks.UserError:
        return False
    return values is not None and set(keys) <= set(values)


def starts_with(path: str, *beginnings: bytes) -> bool:
    """Returns whether a regular file starts with one of these bytes."""
    try:
        with _files.open_regular(path) as file:
            return file.read(max(map(len, beginnings))).startswith(beginnings)
    except OSError:
        return False


def is_regular(path: str) -> bool:
    """Returns whether a path is a regular file, not a link to one."""
    return _has_mode(path, stat.S_ISREG)


def is_real_directory(path: str) -> bool:
    """Returns whether a path is a directory, not a link to one."""
    return _has_mode(path, stat.S_ISDIR)


def _has_mode(path: str, fits: Callable[[int], bool]) -> bool:
    try:
        return fits(os.lstat(path).st_mode)
    except OSError:
        return False


def _is_tolerated(directory: str, name: str) -> bool:
    """Returns whether an entry of an unmarked directory does not belong to the user."""
    path = os.path.join(directory, name)
    if _SYSTEM_FILES.fullmatch(name) or _is_empty_mark(directory, name):
        return True
    return _paths.is_scratch(path) or _is_log(path)


def _is_empty_mark(directory: str, name: str) -> bool:
    """Returns whether an entry is an empty mark, left by a process that was killed."""
    path = os.path.join(directory, name)
    return name == MARK and is_regular(path) and os.path.getsize(path) == 0


def _is_log(path: str) -> bool:
    """Returns whether a file has this process's output: `train.py > RUN/log`, `| tee RUN/a.log`."""
    try:
        status = os.lstat(path)
    except OSError:
        return False
    if not stat.S_ISREG(status.st_mode):
        return False
    if path.endswith(".log") and status.st_size == 0:
        return True
    for descriptor in (1, 2):
        with contextlib.suppress(OSError):
            if os.path.samestat(status, os.fstat(descriptor)):
                return True
    return False


def _write_mark(directory: str, kind: str, files: tuple[str, ...] = ()) -> None:
    path = os.path.join(directory, MARK)
    if _is_empty_mark(directory, MARK):
        os.remove(path)
    try:
        with _files.create_exclusive(path) as file:
            file.write(_content(kind, files))
    except FileExistsError:
        return  # another process created it at the same time
    except OSError as error:
        with contextlib.suppress(OSError):
            os.remove(path)
        raise _checks.RunError(f"{path} could not be written: {error.strerror}") from error


def _content(kind: str, files: tuple[str, ...]) -> bytes:
    mark = Mark(kind, _VERSION, os.path.basename(sys.argv[0]) if sys.argv else "", files)
    values = dataclasses.asdict(mark)
    if not files:
        del values["files"]
    return (json.dumps(values) + "\n").encode()


def _is_within(path: str, other: str) -> bool:
    """Returns whether a path is the same as another or inside it; links are resolved."""
    path, other = os.path.realpath(path), os.path.realpath(other)
    while True:
        if path == other or _is_same(path, other):
            return True
        if os.path.dirname(path) == path:
            return False
        path = os.path.dirname(path)


def _is_same(path: str, other: str) -> bool:
    try:
        return os.path.samefile(path, other)
    except OSError:  # one of the paths does not exist
        return False
