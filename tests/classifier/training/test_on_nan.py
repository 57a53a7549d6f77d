"""Non-finite losses: stop, or roll back a limited number of times (`--on_nan`)."""

import json

import pytest

from classifier.config import options
from classifier.config.failures import FailureOptions
from classifier.training import run as training
from classifier.training.batches import TrainingBatches
from datasets import dataset_factory
from slim import _checks, learning


@pytest.mark.slow
def test_a_diverging_run_rolls_back_up_to_the_limit_and_stops(train, tmp_path):
    # With this learning rate, the weights are NaN after a few steps.
    huge = {"learning_rate": 1e30, "max_number_of_steps": 9, "log_every_n_steps": 1}
    result = train(tmp_path / "stop", **huge)
    assert result.code == 1
    assert not (tmp_path / "stop" / "nan_restores.json").exists()
    result = train(tmp_path / "restore", **huge, on_nan="restore", max_nan_restores=2)
    assert result.code == 1
    *rollbacks, last = result.err
    assert len(rollbacks) == 2
    for number, line in enumerate(rollbacks, 1):
        assert "rolled back to step 0, skipping " in line
        assert line.endswith(f"(rollback {number} of 2)")
    assert "Likely causes, in this order" in last
    records = json.loads((tmp_path / "restore" / "nan_restores.json").read_text())
    assert [record["step"] for record in records] == [0, 0]
    again = train(tmp_path / "restore", **huge, on_nan="restore", max_nan_restores=2)
    assert (again.code, len(again.err)) == (1, 1), "rollbacks are counted per run"


def test_maximum_number_of_rollbacks():
    for expected, flags in ((0, {}), (3, {"on_nan": "restore"})):
        assert training.nan_restores(FailureOptions(**flags)) == expected
    seven = FailureOptions(on_nan="restore", max_nan_restores=7)
    assert training.nan_restores(seven) == 7
    with pytest.raises(_checks.UserError, match="max_nan_restores=7 needs on_nan=restore"):
        options.build(FailureOptions, max_nan_restores=7)


@pytest.mark.slow
def test_a_step_after_a_rollback_has_the_batch_it_was_trained_on(resolved, tmp_path, digits):
    learning.NanRestores(str(tmp_path), 3).add(4, 6)
    run = resolved(batch_size=8)
    batches = TrainingBatches(run, dataset_factory.get_dataset("digits", "train", str(digits)))
    for step, number in ((3, 3), (4, 7), (5, 8)):
        actual, expected = batches.batch_of_step(step), batches.batch(number)
        assert actual["record"].tolist() == expected["record"].tolist()
