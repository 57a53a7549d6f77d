"""Side-by-side timing on a noisy machine: each round times every contestant once, in random
order."""

import random
import statistics
import time
from collections.abc import Callable, Mapping, Sequence


def measure(
    contestants: Mapping[str, Callable[[], object]],
    rounds: int = 15,
    warm_up: int = 2,
    seed: int = 0,
) -> dict[str, list[float]]:
    """Times functions in rounds.

    The order of each round is random, from a fixed seed: otherwise the side effects of one function
    (caches, waiting threads) would always slow down the same other one.

    Args:
      contestants: functions by name; if one returns a float, that is its time in seconds.
      rounds: number of timed rounds.
      warm_up: number of rounds before them.
      seed: of the order.

    Returns:
      The seconds of each timed round, by name.
    """
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    order, names = random.Random(seed), list(contestants)
    for number in range(warm_up + rounds):
        for name in order.sample(names, len(names)):
            start = time.perf_counter()
            result = contestants[name]()
            elapsed = result if isinstance(result, float) else time.perf_counter() - start
            if number >= warm_up:
                seconds[name].append(elapsed)
    return seconds


def summarized(seconds: Mapping[str, Sequence[float]]) -> dict[str, tuple[float, float]]:
    """Returns for each name the median seconds, and the median over the rounds of its time relative
    to the first one's in the same round, which cancels changes of the machine's speed."""
    base = next(iter(seconds.values()))
    return {
        name: (
            statistics.median(times),
            statistics.median(t / b for t, b in zip(times, base, strict=True)),
        )
        for name, times in seconds.items()
    }


def medians(
    contestants: Mapping[str, Callable[[], object]], rounds: int = 15, warm_up: int = 2
) -> dict[str, tuple[float, float]]:
    """Times functions against the first of them, see `measure` and `summarized`."""
    return summarized(measure(contestants, rounds, warm_up))


def show(title: str, times: Mapping[str, tuple[float, float]], per_call: int, unit: str) -> None:
    """Prints one line per contestant: units per second, and time relative to the first."""
    print(title)
    for name, (seconds, ratio) in times.items():
        print(f"  {name:<28}{per_call / seconds:>10.1f} {unit}/s   time x{ratio:.2f}")
