"""Waits for checkpoints of a training run in another process; no TensorFlow here."""

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
    """Waits until a directory has a newest checkpoint other than `last_checkpoint`.

    Args:
      checkpoint_dir: the run directory, which may not exist yet.
      last_checkpoint: prefix of the last checkpoint, or None for any.
      seconds_to_sleep: seconds between checks.
      timeout: maximum seconds to wait; None for no limit, with a log line each minute.

    Returns:
      The prefix, or None after the timeout.

    Raises:
      UserError: if `checkpoint_dir` is a file or a checkpoint instead of a directory.
    """
    directory = os.fspath(checkpoint_dir)
    if os.path.isfile(directory) or os.path.isfile(f"{directory}.index"):
        raise _checks.UserError(
            f"checkpoint_dir={directory!r} is a file. Pass the directory of the checkpoints"
        )
    _checks.non_negative(seconds_to_sleep=seconds_to_sleep, timeout=timeout)
    started = logged = time.monotonic()
    _log.info("Waiting for a new checkpoint in %s", directory)
    while True:
        newest = latest(directory)
        if newest is not None and newest != last_checkpoint:
            _log.info("Found a new checkpoint: %s", newest)
            return newest
        now = time.monotonic()
        if timeout is not None and now + seconds_to_sleep > started + timeout:
            return None
        if now - logged >= _SECONDS_BETWEEN_MESSAGES:
            _log.warning(
                "Waiting for a checkpoint in %s for %d s (last: %s)",
                directory, now - started, last_checkpoint or "none",
            )  # fmt: skip
            logged = now
        time.sleep(seconds_to_sleep)


def checkpoints_iterator(
    checkpoint_dir: str | os.PathLike[str],
    min_interval_secs: float = 0,
    timeout: float | None = None,
    timeout_fn: Callable[[], bool] | None = None,
) -> Iterator[str]:
    """Yields the newest checkpoint of a directory whenever it changes.

    A checkpoint may have been removed when it is read (`CheckpointGone`): continue with the next.

    Args:
      checkpoint_dir: the run directory.
      min_interval_secs: minimum seconds between two checkpoints.
      timeout: maximum seconds to wait for a checkpoint.
      timeout_fn: called after a timeout, returns whether to stop; by default, stop.

    Yields:
      Prefixes.
    """
    last = None
    while True:
        newest = wait_for_new_checkpoint(checkpoint_dir, last, timeout=timeout)
        if newest is None:
            if timeout_fn is None or timeout_fn():
                _log.info("No new checkpoint in %s; stopped waiting", os.fspath(checkpoint_dir))
                return
            continue
        started, last = time.monotonic(), newest
        yield newest
        time.sleep(max(0.0, started + min_interval_secs - time.monotonic()))
