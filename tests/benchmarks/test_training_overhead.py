"""The benchmark of the training script's loop."""

import pytest

from benchmarks import training_overhead


def test_ratio_is_the_median_of_pairs():
    # Wall and processor times; the ratios of the former are 0.9, 0.96 and 1.0.
    times = [((10.0, 8.0), (9.0, 8.0)), ((10.0, 8.0), (9.6, 4.0)), ((5.0, 8.0), (5.0, 2.0))]
    line = training_overhead.verdict("net", times, 480)
    assert line == (
        "net: 48 of 53 images/s: 0.960 of the training op's throughput, median of 3 rounds (0.900"
        " to 1.000; by processor time 0.500); target of 0.95 reached"
    )
    assert "target of 0.95 missed" in training_overhead.verdict("net", times[:1], 480)


def test_ratio_with_a_pipeline_is_to_the_slower_one():
    # Script, training op and pipeline.
    times = [((10.0, 20.0), (8.0, 12.0), (9.5, 6.0))]
    line = training_overhead.verdict("net", times, 95)
    assert "net: 10 of 12 and 10 images/s: 0.950 of the slower of training op's and" in line
    assert "by processor time 0.900); target of 0.95 reached" in line


def test_contestants_alternate_after_a_warm_up_round():
    calls = []

    def contestant(name, times):
        return lambda: calls.append(name) or times

    contestants = [contestant("script", (2, 3)), contestant("bare", (1, 1))]
    times = training_overhead.rounds_of(contestants, 2)
    assert times == [((2, 3), (1, 1))] * 2
    assert calls == ["bare", "script", "script", "bare", "bare", "script"]


def test_work_at_the_end_is_weighted_by_its_interval(monkeypatch):
    class Run:
        step = 7

    now = iter([(0.0, 0.0), (60.0, 30.0), (60.0, 30.0), (66.0, 33.0)])
    monkeypatch.setattr(training_overhead, "_now", lambda: next(now))
    clock = training_overhead._Clock(steps=2)
    clock.begin(Run)
    for Run.step in range(8, 16):
        clock.after_steps(Run, {})
    # A tenth of the interval passed: add a tenth of 6 seconds, 3 of them processor time.
    assert clock.times() == pytest.approx((60.6, 30.3))


@pytest.mark.slow
def test_script_and_training_op_are_timed(capsys):
    training_overhead.main(["lenet", "--image_size=28", "--steps=20", "--rounds=1"])
    output = capsys.readouterr().out
    assert "lenet, 28x28: " in output
    assert "of the training op's throughput, median of 1 rounds" in output
    assert "load average: " in output


@pytest.mark.slow
def test_photographs_are_trained_on_and_read_alone(capsys):
    arguments = ["lenet", "--photographs", "--image_size=28", "--steps=4", "--rounds=1"]
    training_overhead.main(arguments)
    assert "of the slower of training op's and pipeline's throughput" in capsys.readouterr().out
