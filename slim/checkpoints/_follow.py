"""Following a trainer's directory from another process; no TensorFlow here."""

import logging
import os
import time
from collections.abc import Callable, Iterator

from slim import _checks
from slim.checkpoints._find import latest

_SECONDS_BETWEEN_MESSAGES = 60.0
_log = logging.getLogger(__name__)


def wait_for_new_checkpoint(
    checkpoint_dir: str | os.PathLike[str],
    last_checkpoint: str | None = None,
    seconds_to_sleep: float = 1,
    timeout: float | None = None,
) -> str | None:
    """Waits until a directory has a checkpoint other than the last one seen.

    Args:
      checkpoint_dir: the trainer's directory, which may not exist yet.
      last_checkpoint: prefix of the last one, or None for any.
      seconds_to_sleep: between two looks.
      timeout: seconds to wait at most; None waits for ever, saying so each minute.

    Returns:
      The prefix, or None if the time is over.

    Raises:
      UserError: if `checkpoint_dir` is a file or a checkpoint and not a directory.
    """
    directory = os.fspath(checkpoint_dir)
    if os.path.isfile(directory) or os.path.isfile(f"{directory}.index"):
        raise _checks.UserError(
            f"checkpoint_dir={directory!r} is a file; to wait for checkpoints, give the directory"
        )
    _checks.non_negative(seconds_to_sleep=seconds_to_sleep, timeout=timeout)
    begun = said = time.monotonic()
    _log.info("Waiting for a new checkpoint in %s", directory)
    while True:
        found = latest(directory)
        if found is not None and found != last_checkpoint:
            _log.info("Found a new checkpoint: %s", found)
            return found
        now = time.monotonic()
        if timeout is not None and now + seconds_to_sleep > begun + timeout:
            return None
        if now - said >= _SECONDS_BETWEEN_MESSAGES:
            seconds, seen = now - begun, last_checkpoint or "none"
            _log.warning(
                "Waiting for a checkpoint in %s since %d s (last: %s)", directory, seconds, seen
            )
            said = now
        time.sleep(seconds_to_sleep)


def checkpoints_iterator(
    checkpoint_dir: str | os.PathLike[str],
    min_interval_secs: float = 0,
    timeout: float | None = None,
    timeout_fn: Callable[[], bool] | None = None,
) -> Iterator[str]:
    """Yields the newest checkpoint of a directory whenever there is another one.

    A checkpoint may be gone when it is read (`CheckpointGone`): go on with the next.

    Args:
      checkpoint_dir: the trainer's directory.
      min_interval_secs: time between two that are yielded.
      timeout: seconds to wait for one.
      timeout_fn: called when the time is over, returns whether to stop; without it, stop.

    Yields:
      Prefixes.
    """
    last = None
    while True:
        found = wait_for_new_checkpoint(checkpoint_dir, last, timeout=timeout)
        if found is None:
            if timeout_fn is None or timeout_fn():
                _log.info("No new checkpoint in %s: stopped waiting", os.fspath(checkpoint_dir))
                return
            continue
        begun, last = time.monotonic(), found
        yield found
        time.sleep(max(0.0, begun + min_interval_secs - time.monotonic()))
