"""What the server reports of its requests: a line each, and metrics in Prometheus' text format."""

import bisect
import collections
import itertools
import time
from collections.abc import Iterator, Sequence

from slim import _json

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Histogram:
    """Counts of values up to bounds.

    Args:
      bounds: rising upper bounds.
    """

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds, self.counts, self.sum = bounds, [0] * (len(bounds) + 1), 0.0

    def add(self, value: float) -> None:
        """Adds a value."""
        self.counts[bisect.bisect_left(self.bounds, value)] += 1
        self.sum += value

    def lines(self, name: str) -> Iterator[str]:
        """Yields the lines of the metric."""
        bounds = [*(f"{bound:g}" for bound in self.bounds), "+Inf"]
        for bound, count in zip(bounds, itertools.accumulate(self.counts), strict=True):
            yield f'{name}_bucket{{le="{bound}"}} {count}'
        yield f"{name}_sum {self.sum:g}"
        yield f"{name}_count {sum(self.counts)}"


class Telemetry:
    """Counts requests and batches.

    Attributes:
      active: number of requests that are being received or answered.
      number: number of requests that have ended.

    Args:
      max_batch_size: maximum size of a batch.
      access_log: whether to print a line per request.
    """

    def __init__(self, max_batch_size: int, access_log: bool) -> None:
        self.active = self.number = 0
        self._access_log = access_log
        self._requests: collections.Counter[tuple[str, int]] = collections.Counter()
        self._seconds = Histogram(_SECONDS)
        sizes = (2**power for power in range(max_batch_size.bit_length()))
        self._batches = Histogram(sorted({*sizes, max_batch_size}))

    def add_batch(self, number: int) -> None:
        """Counts a batch of a number of images."""
        self._batches.add(number)

    def add_request(
        self, address: str, method: str, path: str, action: str, status: int, seconds: float
    ) -> None:
        """Counts a request and prints its line.

        Args:
          address: of the client.
          method: HTTP method.
          path: as requested.
          action: the kind of request; a few values only.
          status: HTTP status.
          seconds: from its headers to its answer.
        """
        self.number += 1
        self._requests[action, status] += 1
        if action in ("predict", "classify"):
            self._seconds.add(seconds)
        if self._access_log:
            now = time.strftime("%Y-%m-%dT%H:%M:%S%z")
            line = f"{now} {address} {method} {path[:200]} {status} {1000 * seconds:.1f} ms"
            print(_json.printable(line), flush=True)

    def metrics(self) -> str:
        """Returns the metrics in Prometheus' text format."""
        lines = ["# TYPE slim_requests_total counter"]
        lines += [
            f'slim_requests_total{{action="{action}",status="{status}"}} {number}'
            for (action, status), number in sorted(self._requests.items())
        ]
        lines += ["# TYPE slim_active_requests gauge", f"slim_active_requests {self.active}"]
        for name, histogram in (
            ("slim_request_seconds", self._seconds),
            ("slim_batch_images", self._batches),
        ):
            lines += [f"# TYPE {name} histogram", *histogram.lines(name)]
        return "\n".join(lines) + "\n"
