"""Removes old checkpoints of a run and writes the state file."""

from collections.abc import Callable, Mapping

from slim.checkpoints import _listing, _writing


class Rotation:
    """Keeps the newest checkpoints of a directory, and one per interval of hours.

    Args:
      directory: directory of the checkpoints.
      state: its state file.
      recent: existing checkpoints that may be removed, oldest first: base name and when it was
        written, in seconds since the epoch.
      max_to_keep: number of newest checkpoints to keep; None keeps all.
      hours: in addition, keep one checkpoint per this many hours; None disables.
      clock: returns seconds since the epoch.
    """

    def __init__(
        self,
        directory: str,
        state: _listing.State,
        recent: Mapping[str, float],
        max_to_keep: int | None,
        hours: float | None,
        clock: Callable[[], float],
    ) -> None:
        self._directory = directory
        self._max_to_keep = max_to_keep
        self._hours = hours
        self._clock = clock
        now, names = clock(), list(recent)
        if state.problem and max_to_keep:
            # Unknown which were kept on purpose: remove only the newest in future.
            names = names[-max_to_keep:]
        times = dict(zip(state.names, state.times, strict=False))
        self._recent = {name: times.get(name) or recent[name] for name in names}
        self._last_preserved = (state.last_preserved or 0.0) if recent else now

    def add(self, name: str) -> None:
        """Adds a new checkpoint and removes those beyond the limits.

        Raises:
          OSError: if the state file cannot be written.
        """
        self._recent.pop(name, None)
        self._recent[name] = now = self._clock()
        expired = self._beyond_limits(now)
        # Before the removal and after it: if this process is killed in between, the next one can
        # continue from the first state file.
        self._write_state({**expired, **self._recent})
        if expired:
            _writing.remove(self._directory, expired)
            self._write_state(self._recent)

    def _beyond_limits(self, now: float) -> dict[str, float]:
        expired: dict[str, float] = {}
        # If the clock was set back, do not wait until it has caught up.
        self._last_preserved = min(self._last_preserved, now)
        while self._max_to_keep and len(self._recent) > self._max_to_keep:
            name = next(iter(self._recent))
            written = self._recent.pop(name)
            if self._hours and written - self._last_preserved >= self._hours * 3600:
                self._last_preserved = min(written, now)
            else:
                expired[name] = written
        return expired

    def _write_state(self, times: Mapping[str, float]) -> None:
        # Times only if needed: without them, equal runs write equal bytes.
        timed = (list(times.values()), self._last_preserved) if self._hours else ()
        _listing.write_state(self._directory, list(times), *timed)
