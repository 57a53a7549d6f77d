"""Locates checkpoints by the paths that users type; no TensorFlow here."""

import difflib
import logging
import os

from slim import _checks, _json
from slim.checkpoints import _listing

_log = logging.getLogger(__name__)


def latest(directory: str | os.PathLike[str]) -> str | None:
    """Returns the prefix of the newest checkpoint in a directory, or None."""
    return (find_all(directory) or [None])[-1]


def find_all(directory: str | os.PathLike[str]) -> list[str]:
    """Returns the prefixes of the checkpoints in a directory, oldest first."""
    directory = os.fspath(directory)
    try:
        names = _listing.list_checkpoints(directory).names
    except (FileNotFoundError, NotADirectoryError):
        return []
    return [os.path.join(directory, name) for name in names]


def find(path: str | os.PathLike[str]) -> str:
    """Returns the prefix of the checkpoint at a path.

    Args:
      path: a directory, for its newest checkpoint; a prefix (`run/model.ckpt-100`); a file of the
        checkpoint (`.index`, `.data-00000-of-00001`, `.meta`); or a V1 file. The state file
        `checkpoint` of a directory may be missing, damaged, or contain paths of another machine.

    Returns:
      The prefix, in the same directory as `path`.

    Raises:
      UserError: if there is none, or `path` is a state file; the message lists what is there.
    """
    path = os.fspath(path)
    if not path.strip():
        raise _checks.UserError("The path of the checkpoint is empty")
    prefix = _listing.prefix_of(path)
    if os.path.isdir(path):
        newest = _newest_with_warnings(path)
        if newest is None and not os.path.isfile(path.rstrip("/") + ".index"):
            raise _checks.UserError(
                f"No checkpoint in {path} (it contains: {_contents(path)}). "
                "Expected model.ckpt-*.index"
            )
        return newest or path.rstrip("/")
    if _is_state_file(path):
        directory = os.path.dirname(path) or "."
        raise _checks.UserError(
            f"{path} is a list of checkpoints, not a checkpoint. Use its directory, {directory}"
        )
    if _listing.is_checkpoint(prefix):
        return prefix
    raise _checks.UserError(_not_found(path, prefix))


def _newest_with_warnings(directory: str) -> str | None:
    listing = _listing.list_checkpoints(directory)
    if not listing.names:
        return None
    newest, state = listing.names[-1], listing.state
    if state.problem:
        _log.warning(
            "The state file %s is %s; using the newest checkpoint on disk, %s",
            os.path.join(directory, _listing.STATE_FILE),
            state.problem,
            newest,
        )
    elif newest != state.newest:
        _log.warning(
            "The state file of %s names %s, which is not the newest on disk; using %s",
            directory,
            _json.printable(state.newest),
            newest,
        )
    return os.path.join(directory, newest)


def _is_state_file(path: str) -> bool:
    directory, name = os.path.split(path)
    if name != _listing.STATE_FILE or not os.path.isfile(path) or os.path.isfile(f"{path}.index"):
        return False
    return _listing.read_state(directory or ".").problem != "garbage"


def _not_found(path: str, prefix: str) -> str:
    directory = os.path.dirname(prefix) or "."
    if not os.path.isdir(directory):
        return f"No checkpoint at {path}: there is no directory {directory}"
    if prefix != path and os.path.exists(path):
        return f"No checkpoint at {path}: its index file {prefix}.index is missing"
    names = _listing.list_checkpoints(directory).names
    if not names:
        return f"No checkpoint at {path}. {directory} contains: {_contents(directory)}"
    base = os.path.basename(prefix)
    near = difflib.get_close_matches(base, names, n=3, cutoff=0.5) or names[-3:]
    step = _listing.step_of(base)
    near = sorted(near, key=lambda name: abs(_listing.step_of(name) - step))
    nearest = ", ".join(os.path.join(directory, name) for name in near)
    return f"No checkpoint at {path}. Nearest: {nearest}"


def _contents(directory: str) -> str:
    return _checks.listed(sorted(os.listdir(directory)), most=10) or "nothing"
