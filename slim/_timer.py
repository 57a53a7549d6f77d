"""Periodic actions; no TensorFlow here."""

import time
from collections.abc import Callable


class Timer:
    """Reports when a periodic action is due.

    Args:
      seconds: the period; 0 means never.
      clock: a monotonic clock in seconds.
    """

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._clock = clock
        self.restart()

    def restart(self) -> None:
        """Starts a new period."""
        self._started = self._clock()

    @property
    def elapsed(self) -> float:
        """Seconds since creation or the last restart."""
        return self._clock() - self._started

    def is_due(self) -> bool:
        """Returns whether the period is over; stays true until the timer is restarted."""
        return self._seconds > 0 and self.elapsed >= self._seconds
