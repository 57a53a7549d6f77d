"""The benchmark of the training script's loop."""

import pytest

from benchmarks import training_overhead


def test_the_ratio_is_the_median_of_pairs():
    # Two clocks each: by the first 0.9, 0.96 and 1.0.
    found = [((10.0, 8.0), (9.0, 8.0)), ((10.0, 8.0), (9.6, 4.0)), ((5.0, 8.0), (5.0, 2.0))]
    said = training_overhead.verdict("net", found, 480)
    assert said == (
        "net: 48 of 53 images/s: 0.960 of the bare step's throughput, median of 3 rounds (0.900 to"
        " 1.000; by processor time 0.500); 0.95 is reached"
    )
    assert "0.95 is missed" in training_overhead.verdict("net", found[:1], 480)


def test_contestants_alternate_and_a_first_round_does_not_count():
    called = []

    def contestant(name, times):
        return lambda: called.append(name) or times

    found = training_overhead.pairs(contestant("script", (2, 3)), contestant("bare", (1, 1)), 2)
    assert found == [((2, 3), (1, 1))] * 2
    assert called == ["bare", "script", "script", "bare", "bare", "script"]


def test_what_comes_at_the_end_counts_with_its_share(monkeypatch):
    class Run:
        step = 7

    now = iter([(0.0, 0.0), (60.0, 30.0), (60.0, 30.0), (66.0, 33.0)])
    monkeypatch.setattr(training_overhead, "_now", lambda: next(now))
    clock = training_overhead._Clock(steps=2)
    clock.begin(Run)
    for Run.step in range(8, 16):
        clock.after_steps(Run, {})
    # A tenth of the interval passed, so a tenth of 6 seconds, of which the processor's are 3.
    assert clock.times() == pytest.approx((60.6, 30.3))


@pytest.mark.slow
def test_the_script_and_the_bare_step_are_timed(capsys):
    training_overhead.main(["lenet", "--image_size=28", "--steps=20", "--rounds=1"])
    said = capsys.readouterr().out
    assert "lenet, 28x28: " in said
    assert "of the bare step's throughput, median of 1 rounds" in said
    assert "load of the machine: " in said
