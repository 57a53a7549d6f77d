"""Checks of the paths in flags; no TensorFlow.

Paths with a scheme, such as gs://bucket/run, are not checked.
"""

import difflib
import glob
import os
from collections.abc import Callable, Mapping

from classifier.config import formats
from classifier.config.dataset_source import ARCHIVES, COMPRESSED_ARCHIVES
from classifier.config.evaluation import ALL_CHECKPOINTS
from classifier.config.options import PathKind
from nets import published
from slim import _checks, _files, checkpoints


def check(kind: PathKind, name: str, path: str) -> None:
    """Checks a path.

    Args:
      kind: what must exist there, or must be possible to create.
      name: name in messages.
      path: the path.

    Raises:
      UserError: if the path is not of this kind; the message says what exists instead.
    """
    if "://" not in path and (kind, path) != ("images", "-"):
        _CHECKS[kind](name, path)


def has_checkpoint(directory: str) -> bool:
    """Returns whether a directory exists and has checkpoints."""
    try:
        return checkpoints.latest(directory) is not None
    except OSError:
        return False


def _directory(name: str, path: str) -> None:
    if os.path.isfile(path):
        raise _checks.UserError(f"{name}={path!r} is a file, not a directory")
    if not os.path.isdir(path):
        raise _checks.UserError(f"{name}={path!r} does not exist{_near(path)}")


def _dataset(name: str, path: str) -> None:
    is_archive = path.lower().endswith((*ARCHIVES, *COMPRESSED_ARCHIVES))
    if os.path.isfile(path) and not is_archive:
        endings = " or ".join(ARCHIVES)
        raise _checks.UserError(
            f"{name}={path!r} is a file, neither a directory nor an archive of images ({endings})"
        )
    if not os.path.isfile(path):
        _directory(name, path)


def _new_directory(name: str, path: str) -> None:
    if os.path.exists(path) and not os.path.isdir(path):
        kind = _files.kind_of(os.path.realpath(path))
        raise _checks.UserError(f"{name}={path!r} is {kind}, not a directory")
    _writable(name, path)


def _new_dataset(name: str, path: str) -> None:
    if not os.path.isdir(path):  # a dataset that is complete may be on a read-only file system
        _new_directory(name, path)


def _file(name: str, path: str) -> None:
    kind = _files.kind_of(os.path.realpath(path))
    if kind == "missing":
        raise _checks.UserError(f"{name}={path!r} does not exist{_near(path)}")
    if kind != "a regular file":
        raise _checks.UserError(f"{name}={path!r} is {kind}, not a file")


def _new_file(name: str, path: str) -> None:
    if os.path.isdir(path) or path.endswith(os.sep):
        raise _checks.UserError(f"{name}={path!r} is a directory, not a file")
    if os.path.exists(path) and not os.path.isfile(path):
        kind = _files.kind_of(os.path.realpath(path))
        raise _checks.UserError(f"{name}={path!r} is {kind}, not a regular file")
    # The file is written under a temporary name first.
    _writable(name, os.path.dirname(os.path.abspath(path)))


def _writable(name: str, path: str) -> None:
    """Checks that a directory can be written to, or created."""
    above = os.path.abspath(path)
    while not os.path.exists(above):
        above, last = os.path.split(above)
        try:
            os.lstat(os.path.join(above, last))
        except FileNotFoundError:
            continue
        except OSError as error:  # such as a name that is too long
            if not isinstance(error, NotADirectoryError):
                raise _checks.UserError(
                    f"{name}={path!r} cannot be created: {error.strerror}"
                ) from None
        else:
            raise _checks.UserError(
                f"{name}={path!r} cannot be created: {os.path.join(above, last)!r} is a broken link"
            )
    if not os.path.isdir(above):
        kind = _files.kind_of(os.path.realpath(above))
        raise _checks.UserError(f"{name}={path!r} cannot be created: {above!r} is {kind}")
    if os.access(above, os.W_OK):
        return
    if os.statvfs(above).f_flag & os.ST_RDONLY:
        reason = f"the file system of {above!r} is read-only"
    else:
        reason = f"no permission for {above!r}"
    raise _checks.UserError(f"{name}={path!r} cannot be written: {reason}")


def _checkpoint(name: str, path: str) -> None:
    if os.path.isdir(path):
        if checkpoints.latest(path) is None:
            names = _checks.listed(sorted(os.listdir(path)), 8)
            raise _checks.UserError(
                f"{name}={path!r} has no checkpoint (model.ckpt-*.index). It contains:"
                f" {names or 'nothing'}"
            )
    elif not glob.glob(glob.escape(path) + "*") and published.named(path) is None:
        raise _checks.UserError(f"{name}={path!r} does not exist{_near(path) or _near_name(path)}")


def _checkpoints(name: str, path: str) -> None:
    if path != ALL_CHECKPOINTS:
        _checkpoint(name, path)


def _model(name: str, path: str) -> None:
    if formats.find_export(path) is not None:
        return
    if os.path.isdir(path) and checkpoints.latest(path) is None:
        entries = (os.path.join(path, entry) for entry in sorted(os.listdir(path)))
        exports = [entry for entry in entries if formats.find_export(entry)]
        if exports:
            raise _checks.UserError(
                f"{name}={path!r} is a directory of exports. Use one of them:"
                f" {_checks.listed(exports, 8)}"
            )
    _checkpoint(name, path)


def _images(name: str, path: str) -> None:
    if not os.path.exists(path) and not glob.glob(path, recursive=True):
        what = "matches no file" if glob.has_magic(path) else "does not exist"
        raise _checks.UserError(f"{name}={path!r} {what}{_near(path)}")


def _near(path: str) -> str:
    above, last = os.path.split(os.path.abspath(path))
    if not os.path.isdir(above):
        return f", nor does {above!r}"
    names = {name: os.path.join(above, name) for name in _list(above)}
    near = difflib.get_close_matches(last, names, n=1)
    return f"; did you mean {names[near[0]]!r}?" if near else ""


def _near_name(path: str) -> str:
    """Returns the published checkpoints that a text without slashes may mean."""
    near = difflib.get_close_matches(path, published.names(), n=3)
    shown = " or ".join(map(repr, near))
    return f", nor is it a published checkpoint; did you mean {shown}?" if near else ""


def _list(directory: str) -> list[str]:
    try:
        return os.listdir(directory)
    except OSError:
        return []


_CHECKS: Mapping[PathKind, Callable[[str, str], None]] = {
    "dataset": _dataset,
    "directory": _directory,
    "new_directory": _new_directory,
    "new_dataset": _new_dataset,
    "file": _file,
    "new_file": _new_file,
    "checkpoint": _checkpoint,
    "checkpoints": _checkpoints,
    "model": _model,
    "images": _images,
}
