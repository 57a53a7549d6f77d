"""A checkpoint is found and opened once, whatever a trainer does meanwhile."""

import collections
import os
import shutil

import numpy as np
import pytest

from classifier.checkpoints import sources
from classifier.config import options
from classifier.config.evaluation import EvalConfig
from classifier.config.export import ExportConfig
from classifier.config.prediction import PredictConfig
from classifier.export import run as export
from classifier.inference import evaluate, predict
from datasets import dataset_factory
from slim import _checks, checkpoints
from slim.checkpoints import _find, _reading


@pytest.fixture
def counts(monkeypatch):
    """Counts the look-ups and the openings of checkpoints."""
    found = collections.Counter()
    find, open_reader = _find.find, _reading.Reader.__init__

    def counted_find(path):
        found["found"] += 1
        return find(path)

    def counted_open(reader, prefix):
        found["opened"] += 1
        open_reader(reader, prefix)

    monkeypatch.setattr(_find, "find", counted_find)
    monkeypatch.setattr(_reading.Reader, "__init__", counted_open)
    return found


def export_of(run, folder):
    given = {"checkpoint_path": str(run), "output_dir": str(folder / "out")}
    return options.build(ExportConfig, **given, formats=("saved_model", "weights_h5"))


def test_an_export_opens_its_checkpoint_once(lenet_run, tmp_path, counts):
    export.run(export_of(lenet_run, tmp_path))
    assert counts == {"found": 1, "opened": 1}


def test_an_export_without_model_info_opens_its_checkpoint_once(lenet_run, tmp_path, counts):
    bare = shutil.copytree(lenet_run, tmp_path / "bare")
    (bare / "model_info.json").unlink()
    config = options.build(
        ExportConfig, checkpoint_path=str(bare), output_dir=str(tmp_path / "out"),
        formats=("weights_h5",), model_name="lenet",
    )  # fmt: skip
    export.run(config)
    assert counts == {"found": 1, "opened": 1}


def test_an_evaluation_opens_its_checkpoint_once(lenet_run, digits, tmp_path, counts):
    config = options.build(
        EvalConfig, checkpoint_path=str(lenet_run), dataset_dir=str(digits),
        dataset_split_name="validation", eval_dir=str(tmp_path), max_num_batches=1,
    )  # fmt: skip
    evaluate.run(config)
    assert counts == {"found": 1, "opened": 1}


def test_a_prediction_opens_its_checkpoint_once(lenet_run, tmp_path, counts):
    (tmp_path / "one.png").write_bytes(dataset_factory.example_images(1)[1][0])
    given = {"checkpoint_path": str(lenet_run), "images": str(tmp_path)}
    predict.run(options.build(PredictConfig, **given))
    assert counts == {"found": 1, "opened": 1}


def newer_in(run):
    """Writes a later checkpoint with other weights, as a live trainer does."""
    reader = checkpoints.read(checkpoints.find(str(run)))
    values = {name: np.zeros_like(reader.get(name)) for name in reader.variables()}
    return checkpoints.save(str(run / "model.ckpt-999"), values | {"global_step": np.int64(999)})


def test_an_export_is_of_one_checkpoint_though_a_newer_one_is_written(
    lenet_run, tmp_path, monkeypatch
):
    run = shutil.copytree(lenet_run, tmp_path / "run")
    wanted = sources.open_checkpoint(str(run))
    weights = {name: wanted.get(name) for name in wanted.variables() if name != "global_step"}
    open_checkpoint = sources.open_checkpoint

    def opened_before_a_newer_one(path):
        found = open_checkpoint(path)
        newer_in(run)
        return found

    monkeypatch.setattr(sources, "open_checkpoint", opened_before_a_newer_one)
    export.run(export_of(run, tmp_path))
    assert os.listdir(tmp_path / "out" / "saved_model") == ["1"]  # the first has no step
    exported = sources.open_source(str(tmp_path / "out" / "lenet.weights.h5"))
    for name in exported.variables():
        np.testing.assert_array_equal(exported.get(name), weights[name])


@pytest.mark.parametrize("has_newer", [True, False])
def test_a_checkpoint_removed_between_finding_and_opening(
    lenet_run, tmp_path, monkeypatch, has_newer
):
    run = shutil.copytree(lenet_run, tmp_path / "run")
    find = _find.find

    def found_and_removed(path):
        prefix = find(path)
        monkeypatch.setattr(_find, "find", find)
        if has_newer:
            newer_in(run)
        for file in run.glob(f"{os.path.basename(prefix)}.*"):
            file.unlink()
        return prefix

    monkeypatch.setattr(_find, "find", found_and_removed)
    if has_newer:
        assert sources.open_checkpoint(str(run)).prefix == str(run / "model.ckpt-999")
        return
    with pytest.raises(_checks.UserError, match="No checkpoint in"):
        sources.open_checkpoint(str(run))


def test_a_checkpoint_comes_with_what_lies_beside_it(lenet_run):
    found = sources.open_checkpoint(str(lenet_run))
    assert found.run.path == str(lenet_run)
    assert found.info.model_name == "lenet"
    assert found.head_classes(("Nothing", "LeNet/fc4")) == 10
    assert found.head_classes(("Nothing",)) is None
