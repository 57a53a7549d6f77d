"""The checkpoints of a training run: writes, rotates and restores them."""

import logging
import os
import re
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import tensorflow as tf

from slim import _checks, _paths
from slim.checkpoints import _best, _listing, _writing
from slim.checkpoints._restore import RestoreReport, restore
from slim.checkpoints._rotation import Rotation

_log = logging.getLogger(__name__)


class Restored(NamedTuple):
    """A restored checkpoint; `unreadable` lists newer ones, (prefix, reason), newest first."""

    prefix: str
    step: int
    report: RestoreReport
    unreadable: tuple[tuple[str, str], ...] = ()


class Checkpoints:
    """Checkpoints `basename-STEP` in a directory that only this process writes to.

    Args:
      directory: the run directory; created by the first save.
      max_to_keep: number of newest checkpoints to keep; None or 0 keeps all.
      keep_every_n_hours: in addition, keep one checkpoint per this many hours.
      basename: file name before the step.
      clock: returns seconds since the epoch; `steady_clock()` by default.

    Raises:
      UserError: if a number is negative, or the basename is not a plain file name.
    """

    def __init__(
        self,
        directory: str | os.PathLike[str],
        *,
        max_to_keep: int | None = 5,
        keep_every_n_hours: float | None = None,
        basename: str = "model.ckpt",
        clock: Callable[[], float] | None = None,
    ) -> None:
        _checks.non_negative(max_to_keep=max_to_keep)
        _checks.positive(keep_every_n_hours=keep_every_n_hours)
        if not basename or basename != os.path.basename(basename) or basename.startswith("."):
            raise _checks.UserError(
                f"basename={basename!r} must be a file name without a directory"
            )
        self.directory = os.fspath(directory)
        self._max_to_keep = max_to_keep or None
        self._hours = keep_every_n_hours
        self._basename = basename
        self._clock = clock or steady_clock()
        self._rotation: Rotation | None = None

    def all_steps(self) -> list[int]:
        """Returns the steps on disk, oldest checkpoint first."""
        return [_listing.step_of(name) for name in self._own(self._listing().names)]

    def latest(self) -> str | None:
        """Returns the prefix of the newest checkpoint, which may be unreadable, or None."""
        names = self._own(self._listing().names)
        return self._prefix(names[-1]) if names else None

    def save(self, step: int, tensors: Mapping[str, Any]) -> str:
        """Writes a checkpoint, then removes those beyond `max_to_keep`, and returns the prefix.

        Raises:
          RunError: if it cannot be written; older checkpoints are untouched.
        """
        _checks.non_negative(step=step)
        name = f"{self._basename}-{int(step)}"
        if self._rotation is None:
            self._rotation = self._begin()
        prefix = _writing.save(self._prefix(name), tensors)
        try:
            self._rotation.add(name)
        except OSError as error:
            raise _checks.RunError(
                f"Saved {prefix}, but could not write the state file of {self.directory}: "
                f"{error.strerror}"
            ) from error
        return prefix

    def save_best(
        self,
        step: int,
        tensors: Mapping[str, Any],
        metric_name: str,
        value: float,
        *,
        higher_is_better: bool = True,
        known_values: Mapping[int, float] | None = None,
    ) -> str | None:
        """Writes `best/` if the value is the best so far, see `_best.save_best`."""
        return _best.save_best(
            os.path.join(self.directory, _best.DIRECTORY),
            f"{self._basename}-{int(step)}",
            tensors,
            metric_name,
            value,
            higher_is_better,
            known_values,
        )

    def restore_latest(
        self, variables: Mapping[str, tf.Variable], *, strict: bool = True
    ) -> Restored | None:
        """Restores the newest checkpoint that can be read.

        Unreadable ones are logged as errors, and renamed to `*.unreadable` after an older one is
        restored.

        Returns:
          The restored checkpoint, or None if the directory has no checkpoint.

        Raises:
          UserError: if a readable checkpoint does not match the variables.
          RunError: if none of the checkpoints can be read, or only remains of some are left.
        """
        listing, unreadable = self._listing(), []
        for name in reversed(self._own(listing.names)):
            prefix = self._prefix(name)
            try:
                report = restore(prefix, variables, strict=strict)
            except _checks.RunError as error:
                _log.error("UNREADABLE CHECKPOINT, trying the previous one. %s", error)
                unreadable.append((prefix, str(error)))
                continue
            if unreadable:
                names = [os.path.basename(bad) for bad, _ in unreadable]
                for paths in _listing.files_of_all(self.directory, names).values():
                    for path in paths:
                        os.replace(path, path + _listing.UNREADABLE)
                _log.error("Restored %s; unreadable ones are renamed *.unreadable", prefix)
            return Restored(prefix, _listing.step_of(name), report, tuple(unreadable))
        self._check_new_run(listing, unreadable)
        return None

    def _check_new_run(self, listing: _listing.Listing, unreadable: list[tuple[str, str]]) -> None:
        advice = "Restore a backup, or move the files away to start over"
        if unreadable:
            reasons = "; ".join(reason for _, reason in unreadable[:3])
            raise _checks.RunError(
                f"None of {len(unreadable)} checkpoint(s) in {self.directory} is readable: "
                f"{reasons}. {advice}"
            )
        orphans = self._own(listing.orphans)
        named = listing.state.problem != "missing"
        if named or listing.unreadable or len(orphans) > 1:
            remains = ["checkpoint"] * named + [f"{o}.data-*" for o in orphans]
            remains += listing.unreadable
            raise _checks.RunError(
                f"No complete checkpoint in {self.directory}, only parts of some: "
                f"{_checks.listed(remains, 5)}. {advice}"
            )
        if orphans:
            _log.warning("The first save in %s was interrupted; starting over", self.directory)

    def _begin(self) -> Rotation:
        """Removes files of killed processes and returns the rotation of existing checkpoints."""
        _paths.check_writable_directory(self.directory)
        for name in _paths.sweep_scratch(self.directory):
            _log.info("Removed %s of an interrupted save", self._prefix(name))
        listing = self._listing()
        orphans = self._own(listing.orphans)
        for name in orphans:
            _log.warning("Removed %s.data-* of an interrupted save", self._prefix(name))
        _writing.remove(self.directory, orphans)
        recent = {name: listing.times[name] / 1e9 for name in self._own(listing.recent)}
        return Rotation(
            self.directory, listing.state, recent, self._max_to_keep, self._hours, self._clock
        )

    def _listing(self) -> _listing.Listing:
        try:
            return _listing.list_checkpoints(self.directory)
        except FileNotFoundError:
            return _listing.Listing((), (), (), (), _listing.State(problem="missing"), {})

    def _own(self, names: tuple[str, ...]) -> list[str]:
        return [n for n in names if re.fullmatch(re.escape(self._basename) + r"-\d+", n)]

    def _prefix(self, name: str) -> str:
        return os.path.join(self.directory, name)


def steady_clock() -> Callable[[], float]:
    """Returns a clock of seconds since the epoch that ignores changes of the system clock.

    Only within a process: another one starts with the system clock.
    """
    offset = time.time() - time.monotonic()
    return lambda: offset + time.monotonic()
