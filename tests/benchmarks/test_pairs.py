"""Side-by-side timing."""

import itertools

from benchmarks import pairs


def test_order_of_contestants_varies():
    calls = []
    names = ("a", "b", "c", "d")
    contestants = {name: lambda name=name: calls.append(name) for name in names}
    pairs.medians(contestants, rounds=30, warm_up=2)
    rounds = [calls[start : start + 4] for start in range(0, len(calls), 4)]
    assert len(rounds) == 32
    assert all(sorted(each) == list(names) for each in rounds)
    assert {each[0] for each in rounds} == set(names)
    neighbors = {pair for each in rounds for pair in itertools.pairwise(each)}
    assert neighbors == set(itertools.permutations(names, 2))


def test_ratios_are_computed_within_a_round():
    # A machine that slows down.
    seconds = {name: iter([1.0, 2.0, 4.0, 8.0, 16.0]) for name in ("first", "second")}
    times = pairs.medians(
        {"first": lambda: next(seconds["first"]), "second": lambda: 3 * next(seconds["second"])},
        rounds=3,
        warm_up=2,
    )
    assert times == {"first": (8.0, 1.0), "second": (24.0, 3.0)}
