"""--on_nan: stop, or go back and on, at most so often."""

import json

import pytest

from classifier.config import options
from classifier.config.failures import FailureOptions
from classifier.config.training import TrainConfig
from classifier.resolve.training import training_run
from classifier.training import run as training
from classifier.training.batches import TrainingBatches
from datasets import dataset_factory
from slim import _checks, learning


@pytest.mark.slow
def test_a_run_that_explodes_goes_back_so_often_and_stops(train, tmp_path):
    # A learning rate that makes NaN of any weights within a few steps.
    huge = {"learning_rate": 1e30, "max_number_of_steps": 9, "log_every_n_steps": 1}
    told = train(tmp_path / "stop", **huge)
    assert told.code == 1
    assert not (tmp_path / "stop" / "nan_restores.json").exists()
    told = train(tmp_path / "restore", **huge, on_nan="restore", max_nan_restores=2)
    assert told.code == 1
    *returns, last = told.err
    assert len(returns) == 2
    for number, line in enumerate(returns, 1):
        assert "rolled back to step 0, skipping " in line
        assert line.endswith(f"(rollback {number} of 2)")
    assert "Likely causes, in this order" in last
    notes = json.loads((tmp_path / "restore" / "nan_restores.json").read_text())
    assert [note["step"] for note in notes] == [0, 0]
    again = train(tmp_path / "restore", **huge, on_nan="restore", max_nan_restores=2)
    assert (again.code, len(again.err)) == (1, 1), "the count is the run's, not the command's"


def test_how_often():
    for wanted, given in ((0, {}), (3, {"on_nan": "restore"})):
        assert training.nan_restores(FailureOptions(**given)) == wanted
    seven = FailureOptions(on_nan="restore", max_nan_restores=7)
    assert training.nan_restores(seven) == 7
    with pytest.raises(_checks.UserError, match="max_nan_restores=7 needs on_nan=restore"):
        options.build(FailureOptions, max_nan_restores=7)


@pytest.mark.slow
def test_a_step_behind_a_return_has_the_batch_that_it_was_trained_on(tmp_path, digits):
    learning.NanRestores(str(tmp_path), 3).add(4, 6)
    given = {"train_dir": str(tmp_path), "dataset_dir": str(digits), "dataset_name": "digits"}
    run = training_run(options.build(TrainConfig, **given, model_name="lenet", batch_size=8))
    batches = TrainingBatches(run, dataset_factory.get_dataset("digits", "train", str(digits)))
    for step, number in ((3, 3), (4, 7), (5, 8)):
        found, wanted = batches.batch_of_step(step), batches.batch(number)
        assert found["record"].tolist() == wanted["record"].tolist()
