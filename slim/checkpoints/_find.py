"""From what a user types to the prefix of a checkpoint; no TensorFlow here."""

import difflib
import logging
import os

from slim import _checks, _json
from slim.checkpoints import _listing

_log = logging.getLogger(__name__)


def latest(directory: str | os.PathLike[str]) -> str | None:
    """Returns the prefix of the newest checkpoint in a directory, or None, and logs nothing."""
    directory = os.fspath(directory)
    try:
        names = _listing.list_checkpoints(directory).names
    except (FileNotFoundError, NotADirectoryError):
        return None
    return os.path.join(directory, names[-1]) if names else None


def find(path: str | os.PathLike[str]) -> str:
    """Returns the prefix of the checkpoint that a path means.

    Args:
      path: a directory, whose newest checkpoint is taken; a prefix (`run/model.ckpt-100`); a file
        of the checkpoint (`.index`, `.data-00000-of-00001`, `.meta`); or a V1 file. The state file
        `checkpoint` of a directory may be absent, damaged, or name paths of another machine.

    Returns:
      The prefix, below the same directory as `path`.

    Raises:
      UserError: if there is none, or the path is a state file's; the message tells what lies there.
    """
    path = os.fspath(path)
    if not path.strip():
        raise _checks.UserError("No checkpoint given: the path is empty")
    prefix = _listing.prefix_of(path)
    if os.path.isdir(path):
        found = _newest_said_aloud(path)
        if found is None and not os.path.isfile(path.rstrip("/") + ".index"):
            raise _checks.UserError(
                f"No checkpoint in {path} (it holds: {_contents(path)}). "
                "Expected model.ckpt-*.index"
            )
        return found or path.rstrip("/")
    if _is_state_file(path):
        folder = os.path.dirname(path) or "."
        raise _checks.UserError(
            f"{path} only says which checkpoints there are: give its folder, {folder}"
        )
    if _listing.is_checkpoint(prefix):
        return prefix
    raise _checks.UserError(_not_at(path, prefix))


def _newest_said_aloud(directory: str) -> str | None:
    listing = _listing.list_checkpoints(directory)
    if not listing.names:
        return None
    newest, state = listing.names[-1], listing.state
    if state.problem:
        _log.warning(
            "The state file %s is %s: took the newest checkpoint on disk, %s",
            os.path.join(directory, _listing.STATE_FILE),
            state.problem,
            newest,
        )
    elif newest != state.newest:
        _log.warning(
            "The state file of %s names %s, which is not the newest on disk: took %s",
            directory,
            _json.printable(state.newest),
            newest,
        )
    return os.path.join(directory, newest)


def _is_state_file(path: str) -> bool:
    folder, name = os.path.split(path)
    if name != _listing.STATE_FILE or not os.path.isfile(path) or os.path.isfile(f"{path}.index"):
        return False
    return _listing.read_state(folder or ".").problem != "garbage"


def _not_at(path: str, prefix: str) -> str:
    directory = os.path.dirname(prefix) or "."
    if not os.path.isdir(directory):
        return f"No checkpoint at {path}: there is no directory {directory}"
    if prefix != path and os.path.exists(path):
        return f"No checkpoint at {path}: its index file {prefix}.index is missing"
    names = _listing.list_checkpoints(directory).names
    if not names:
        return f"No checkpoint at {path}. {directory} holds: {_contents(directory)}"
    base = os.path.basename(prefix)
    near = difflib.get_close_matches(base, names, n=3, cutoff=0.5) or names[-3:]
    step = _listing.step_of(base)
    near = sorted(near, key=lambda name: abs(_listing.step_of(name) - step))
    nearest = ", ".join(os.path.join(directory, name) for name in near)
    return f"No checkpoint at {path}. Nearest: {nearest}"


def _contents(directory: str) -> str:
    return _checks.listed(sorted(os.listdir(directory)), most=10) or "nothing"
