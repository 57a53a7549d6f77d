"""The benchmark of evaluation on a small network."""

import pytest

from benchmarks import evaluation_overhead


@pytest.mark.slow
def test_evaluation_is_timed_against_the_network(capsys):
    evaluation_overhead.main(["lenet", "--rounds=2", "--batches=2", "--batch_size=20"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "lenet"
    assert [line.split("  ")[1] for line in lines[1:4]] == [
        "network alone", "evaluation", "with the answers",
    ]  # fmt: skip
    assert " of the network alone (by processor time " in lines[4]
