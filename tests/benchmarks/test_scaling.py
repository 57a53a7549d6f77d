"""The model of communication between workers."""

import pytest

from benchmarks import scaling


def test_a_ring_sends_twice_the_bytes_and_a_tree_fewer_messages():
    # 8 workers, 800 bytes, 100 bytes per second: 2 x 7 / 8 x 8 seconds.
    assert scaling.communication(8, 800, 100, 0.0, tree=False) == pytest.approx(14)
    assert scaling.communication(8, 800, 100, 0.5, tree=False) == pytest.approx(14 + 14 * 0.5)
    assert scaling.communication(8, 800, 100, 0.5, tree=True) == pytest.approx(14 + 6 * 0.5)


def test_overlap_hides_communication_behind_the_backward_pass():
    assert scaling.efficiencies(3.0, 1.0) == (0.75, 1.0)
    assert scaling.efficiencies(3.0, 3.0) == (0.5, 0.75)


def test_predictions_are_printed(capsys):
    scaling.main(["predict", "--step_ms=450", "--megabytes=95"])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[2:]] == ["8", "64", "512", "4096"]
    assert lines[-2].split()[1:] == ["0.872", "1.000", "0.881", "1.000"]
