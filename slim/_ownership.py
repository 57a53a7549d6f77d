"""What this project created, and what belongs to the user; no TensorFlow here.

A directory in which we write carries a mark, the file `.slim`, from its first use on. Only a new or
empty directory is marked, or one whose content is recognized as written by an earlier version.
Anything else in it is the user's: such a directory is refused, never cleaned.
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

MARK = ".slim"
_VERSION = 1  # of the mark's form
_MAX_MARK_BYTES = 1 << 20
# What operating systems and file systems put into directories by themselves.
_LITTER = re.compile(
    r"\.DS_Store|\.localized|\.directory|\.Spotlight-V100|\.Trashes|\.fseventsd|\.snapshots?"
    r"|\.nfs[0-9a-f]+|Thumbs\.db|desktop\.ini|lost\+found"
)
_KINDS = {
    "dataset": "a dataset",
    "run": "a training run",
    "export": "an export",
    "evaluation": "an evaluation",
    "downloads": "downloads",
    "conversion": "an unfinished conversion",
    "cache": "cached shards",
}


@dataclasses.dataclass(frozen=True)
class Mark:
    """What a directory is.

    Attributes:
      kind: a key of `_KINDS`.
      version: of the mark's form.
      command: the program that created it.
      files: names of the files that may be in it; empty where the directory is ours as a whole.
    """

    kind: str
    version: Annotated[int, msgspec.Meta(ge=1)]
    command: str = ""
    files: tuple[str, ...] = ()


def read_mark(directory: str) -> Mark | None:
    """Returns a directory's mark, or None if it has none that we wrote."""
    path = os.path.join(directory, MARK)
    try:
        if not stat.S_ISREG(os.lstat(path).st_mode):
            return None
        return _json.read(path, Mark, advice="", max_bytes=_MAX_MARK_BYTES)
    except (OSError, _checks.UserError):
        return None


def check(
    directory: str,
    kind: str,
    *,
    name: str = "directory",
    recognize: Callable[[str], bool] | None = None,
    also: Iterable[str] = (),
) -> None:
    """Checks that a directory may be written in; writes nothing.

    Args:
      directory: it need not exist, and may be a link to a directory.
      kind: what is to be written in it.
      name: the argument to name in an error.
      recognize: returns whether a directory without a mark was written by an earlier version.
      also: further kinds of directories that may be written in.

    Raises:
      UserError: if it holds anything that we did not create, or is of another kind.
    """
    try:
        entries = sorted(os.listdir(directory))
    except (FileNotFoundError, NotADirectoryError):
        return  # `check_writable_directory` reports what is wrong with it
    except OSError as error:
        raise _checks.UserError(f"{name}={directory!r} cannot be read: {error.strerror}") from None
    mark = read_mark(directory)
    if mark is not None:
        if mark.kind not in (kind, *also):
            found = _KINDS.get(mark.kind, "something else")
            raise _checks.UserError(
                f"{name}={directory!r} holds {found}, not {_KINDS[kind]}."
                " Use another directory, new or empty"
            )
        return
    others = [entry for entry in entries if not _is_tolerated(directory, entry)]
    if others and not (recognize and recognize(directory)):
        shown = _checks.listed(map(_json.printable, others), 5)
        raise _checks.UserError(
            f"{name}={directory!r} holds files that slim did not create: {shown}."
            " Use another directory, new or empty"
        )


def claim(
    directory: str,
    kind: str,
    *,
    name: str = "directory",
    recognize: Callable[[str], bool] | None = None,
    also: Iterable[str] = (),
) -> None:
    """Creates a directory if needed, and marks it as ours; arguments as in `check`.

    Raises:
      UserError: as `check`, or if it cannot be written in.
      RunError: if there is no space left.
    """
    check(directory, kind, name=name, recognize=recognize, also=also)
    _paths.check_writable_directory(directory, name)
    if read_mark(directory) is None:
        _write_mark(directory, kind)


def release(directory: str) -> None:
    """Removes our mark from a directory that holds nothing else, after work that wrote nothing."""
    with contextlib.suppress(OSError):
        if os.listdir(directory) == [MARK] and read_mark(directory) is not None:
            os.remove(os.path.join(directory, MARK))


def work_directory(path: str, kind: str, files: Iterable[str] = ()) -> None:
    """Creates a directory for temporary files, or takes over one that this function created.

    Args:
      path: the directory.
      kind: what it is for.
      files: the files that will be in it; without them, all of its content is ours.

    Raises:
      UserError: if anything else has that name.
    """
    files = tuple(files)
    with contextlib.suppress(FileExistsError):
        os.mkdir(path)
    if not is_real_directory(path) or (
        not is_ours(path, kind) and any(not _is_empty_mark(path, n) for n in os.listdir(path))
    ):
        raise _checks.UserError(
            f"{path} ({_files.kind_of(path)}) was not created by slim."
            " Move it away, or use another directory"
        )
    mark = read_mark(path)
    if mark is None:
        _write_mark(path, kind, files)
    elif not set(files) <= set(mark.files):
        content = _content(kind, (*mark.files, *(n for n in files if n not in mark.files)))
        _paths.write_atomically(os.path.join(path, MARK), content)


def is_ours(path: str, kind: str) -> bool:
    """Returns whether a path is a directory, not a link to one, with our mark of that kind."""
    mark = read_mark(path) if is_real_directory(path) else None
    return mark is not None and mark.kind == kind


def remove(path: str, kind: str) -> None:
    """Removes a directory of `work_directory`, or those of its files that the mark names.

    Links are not followed. A directory that we did not create stays.
    """
    if not is_ours(path, kind):
        return
    mark = read_mark(path)
    if mark is None or not mark.files:
        shutil.rmtree(path)  # refuses a link, and follows none
        return
    for name in mark.files:
        with contextlib.suppress(FileNotFoundError):
            if os.path.basename(name) == name and is_regular(os.path.join(path, name)):
                os.remove(os.path.join(path, name))
    if os.listdir(path) == [MARK]:
        shutil.rmtree(path)


def check_entries(directory: str, *, files: Iterable[str], directories: Iterable[str]) -> None:
    """Checks that the entries with our names are what we create: no links, no special files.

    Raises:
      UserError: for the first that is not.
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
    """Checks that two directories, given by the names of their options, do not overlap.

    Raises:
      UserError: if they are the same, or one lies inside the other; links are resolved.
    """
    (name, path), (other_name, other) = paths.items()
    if path is None or other is None:
        return
    inside, above = _is_within(path, other), _is_within(other, path)
    if inside or above:
        how = "the same as" if inside and above else "inside" if inside else "above"
        raise _checks.UserError(
            f"{name}={path!r} is {how} {other_name}={other!r}. Use a directory apart from it"
        )


def check_output(path: str, name: str, what: str, is_earlier: Callable[[str], bool]) -> None:
    """Checks that writing a file that the user named replaces nothing but an earlier output.

    Args:
      path: the file.
      name: the argument to name in an error.
      what: what is written, in words.
      is_earlier: returns whether an existing file is an earlier output of the same kind.

    Raises:
      UserError: if something else has that name.
    """
    if not os.path.lexists(path):
        return
    advice = "Use another file name, or move it away"
    if not is_regular(path):
        raise _checks.UserError(f"{name}={path!r} is {_files.kind_of(path)}. {advice}")
    if os.path.getsize(path) and not is_earlier(path):
        raise _checks.UserError(f"{name}={path!r} exists and is not {what}. {advice}")


def has_keys(path: str, keys: Iterable[str], max_bytes: int = _json.MAX_BYTES) -> bool:
    """Returns whether a file holds a JSON object with these keys."""
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
    """Returns whether an entry of a directory without a mark does not belong to the user."""
    path = os.path.join(directory, name)
    if _LITTER.fullmatch(name) or _is_empty_mark(directory, name):
        return True
    return _paths.is_scratch(path) or _is_log(path)


def _is_empty_mark(directory: str, name: str) -> bool:
    """Returns whether an entry is what a process that was killed leaves of a mark."""
    path = os.path.join(directory, name)
    return name == MARK and is_regular(path) and os.path.getsize(path) == 0


def _is_log(path: str) -> bool:
    """Returns whether a file takes our own output: `train.py > RUN/log`, `| tee RUN/a.log`."""
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
        return  # by another process of ours, at the same time
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
    """Returns whether a path is another, or lies below it; links are resolved."""
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
    except OSError:  # one of them does not exist
        return False
