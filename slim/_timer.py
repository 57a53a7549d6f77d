"""What happens every so many seconds; no TensorFlow here."""

import time
from collections.abc import Callable


class Timer:
    """Says when something that happens every so many seconds is due.

    Args:
      seconds: from one time to the next; 0: it never is.
      clock: seconds that never go back.
    """

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._clock = clock
        self.restart()

    def restart(self) -> None:
        """Counts from now on."""
        self._begun = self._clock()

    @property
    def elapsed(self) -> float:
        """Seconds since it was made or restarted."""
        return self._clock() - self._begun

    def is_due(self) -> bool:
        """Whether it is time; it stays so until the timer is restarted."""
        return self._seconds > 0 and self.elapsed >= self._seconds
