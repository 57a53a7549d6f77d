"""Side-by-side timing on a noisy machine: each round times every contestant once, in an order drawn
for it."""

import random
import statistics
import time
from collections.abc import Callable, Mapping


def medians(
    contestants: Mapping[str, Callable[[], object]], rounds: int = 15, warm_up: int = 2
) -> dict[str, tuple[float, float]]:
    """Times functions against the first of them.

    The order of a round is drawn, always alike: what one leaves behind (caches, threads that wait
    for more) would otherwise be paid by the same one each time.

    Args:
      contestants: functions by name; one that returns a float tells its seconds itself.
      rounds: how often each is timed.
      warm_up: rounds that do not count.

    Returns:
      For each name its median seconds, and the median over the rounds of its time divided by the
      first one's in the same round: a drift of the machine's speed hits both alike.
    """
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    order, names = random.Random(0), list(contestants)
    for number in range(warm_up + rounds):
        for name in order.sample(names, len(names)):
            begun = time.perf_counter()
            told = contestants[name]()
            taken = told if isinstance(told, float) else time.perf_counter() - begun
            if number >= warm_up:
                seconds[name].append(taken)
    base = next(iter(seconds.values()))
    return {
        name: (
            statistics.median(times),
            statistics.median(t / b for t, b in zip(times, base, strict=True)),
        )
        for name, times in seconds.items()
    }


def show(title: str, found: Mapping[str, tuple[float, float]], per_call: int, unit: str) -> None:
    """Prints one line a contestant: units a second, and time relative to the first."""
    print(title)
    for name, (seconds, ratio) in found.items():
        print(f"  {name:<28}{per_call / seconds:>10.1f} {unit}/s   time x{ratio:.2f}")
