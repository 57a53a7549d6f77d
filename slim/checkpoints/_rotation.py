"""Which checkpoints of a run stay, and the state file that says so."""

import os
from collections.abc import Callable, Mapping, Sequence

from slim.checkpoints import _listing, _writing


class Rotation:
    """Keeps the newest checkpoints of a directory, and one per so many hours.

    Args:
      directory: where they are.
      recent: base names on disk that may be removed, oldest first.
      max_to_keep: how many stay; None is all.
      hours: one per so many hours stays as well; None for none.
      clock: returns seconds since the epoch.
    """

    def __init__(
        self,
        directory: str,
        recent: Sequence[str],
        max_to_keep: int | None,
        hours: float | None,
        clock: Callable[[], float],
    ) -> None:
        self._directory = directory
        self._max_to_keep = max_to_keep
        self._hours = hours
        self._clock = clock
        state, now = _listing.read_state(directory), clock()
        if state.problem and max_to_keep:
            # Nobody says which were kept on purpose: leave all but the newest alone.
            recent = recent[-max_to_keep:]
        times = dict(zip(state.names, state.times, strict=False))
        self._recent = {name: times.get(name) or self._modified(name) for name in recent}
        self._last_preserved = (state.last_preserved or 0.0) if recent else now

    def add(self, name: str) -> None:
        """Takes in a checkpoint just written and removes those beyond the limits.

        Raises:
          OSError: if the state file cannot be written.
        """
        self._recent.pop(name, None)
        self._recent[name] = now = self._clock()
        doomed = self._beyond_limits(now)
        # Before the sweep and after it: the first tells the next process, if this one dies in
        # between, what else may go.
        self._write_state({**doomed, **self._recent})
        for old in doomed:
            _writing.remove(os.path.join(self._directory, old))
        if doomed:
            self._write_state(self._recent)

    def _beyond_limits(self, now: float) -> dict[str, float]:
        doomed: dict[str, float] = {}
        # A clock that was put back must not put off preserving until it has caught up.
        self._last_preserved = min(self._last_preserved, now)
        while self._max_to_keep and len(self._recent) > self._max_to_keep:
            name = next(iter(self._recent))
            written = self._recent.pop(name)
            if self._hours and written - self._last_preserved >= self._hours * 3600:
                self._last_preserved = min(written, now)
            else:
                doomed[name] = written
        return doomed

    def _write_state(self, times: Mapping[str, float]) -> None:
        # Times only where they are needed: without them two equal runs write equal bytes.
        timed = (list(times.values()), self._last_preserved) if self._hours else ()
        _listing.write_state(self._directory, list(times), *timed)

    def _modified(self, name: str) -> float:
        return os.path.getmtime(_listing.files_of(os.path.join(self._directory, name))[0])
