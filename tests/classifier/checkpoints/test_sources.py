"""A checkpoint is found and opened once, even if a trainer writes others meanwhile."""

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
    """Counts how often checkpoints are looked up and opened."""
    calls = collections.Counter()
    find, open_reader = _find.find, _reading.Reader.__init__

    def counted_find(path):
        calls["find"] += 1
        return find(path)

    def counted_open(reader, prefix):
        calls["open"] += 1
        open_reader(reader, prefix)

    monkeypatch.setattr(_find, "find", counted_find)
    monkeypatch.setattr(_reading.Reader, "__init__", counted_open)
    return calls


def export_of(run, directory, *formats):
    paths = {"checkpoint_path": str(run), "output_dir": str(directory / "out")}
    return options.build(ExportConfig, **paths, formats=formats)


def test_export_opens_its_checkpoint_once(lenet_run, tmp_path, counts):
    export.run(export_of(lenet_run, tmp_path, "frozen_pb", "weights_h5"))
    assert counts == {"find": 1, "open": 1}


def test_export_without_model_info_opens_its_checkpoint_once(lenet_run, tmp_path, counts):
    bare = shutil.copytree(lenet_run, tmp_path / "bare")
    (bare / "model_info.json").unlink()
    config = options.build(
        ExportConfig, checkpoint_path=str(bare), output_dir=str(tmp_path / "out"),
        formats=("weights_h5",), model_name="lenet",
    )  # fmt: skip
    export.run(config)
    assert counts == {"find": 1, "open": 1}


def test_evaluation_opens_its_checkpoint_once(lenet_run, digits, tmp_path, counts):
    config = options.build(
        EvalConfig, checkpoint_path=str(lenet_run), dataset_dir=str(digits),
        dataset_split_name="validation", eval_dir=str(tmp_path), max_num_batches=1,
    )  # fmt: skip
    evaluate.run(config)
    assert counts == {"find": 1, "open": 1}


def test_prediction_opens_its_checkpoint_once(lenet_run, tmp_path, counts):
    (tmp_path / "one.png").write_bytes(dataset_factory.example_images(1)[1][0])
    paths = {"checkpoint_path": str(lenet_run), "images": (str(tmp_path),)}
    predict.run(options.build(PredictConfig, **paths))
    assert counts == {"find": 1, "open": 1}


def write_newer(run):
    """Writes a later checkpoint with other weights, as a live trainer does."""
    reader = checkpoints.read(checkpoints.find(str(run)))
    values = {name: np.zeros_like(reader.get(name)) for name in reader.variables()}
    return checkpoints.save(str(run / "model.ckpt-999"), values | {"global_step": np.int64(999)})


def test_export_uses_one_checkpoint_if_a_newer_one_is_written_meanwhile(
    lenet_run, tmp_path, monkeypatch
):
    run = shutil.copytree(lenet_run, tmp_path / "run")
    first = sources.open_checkpoint(str(run))
    weights = {name: first.get(name) for name in first.variables() if name != "global_step"}
    open_checkpoint = sources.open_checkpoint

    def opened_before_a_newer_one(path):
        checkpoint = open_checkpoint(path)
        write_newer(run)
        return checkpoint

    monkeypatch.setattr(sources, "open_checkpoint", opened_before_a_newer_one)
    export.run(export_of(run, tmp_path, "weights_h5"))
    exported = sources.open_source(str(tmp_path / "out" / "lenet.weights.h5"))
    for name in exported.variables():
        np.testing.assert_array_equal(exported.get(name), weights[name])


@pytest.mark.parametrize("has_newer", [True, False])
def test_checkpoint_removed_between_finding_and_opening(
    lenet_run, tmp_path, monkeypatch, has_newer
):
    run = shutil.copytree(lenet_run, tmp_path / "run")
    find = _find.find

    def find_and_remove(path):
        prefix = find(path)
        monkeypatch.setattr(_find, "find", find)
        if has_newer:
            write_newer(run)
        for file in run.glob(f"{os.path.basename(prefix)}.*"):
            file.unlink()
        return prefix

    monkeypatch.setattr(_find, "find", find_and_remove)
    if has_newer:
        assert sources.open_checkpoint(str(run)).prefix == str(run / "model.ckpt-999")
        return
    with pytest.raises(_checks.UserError, match="No checkpoint in"):
        sources.open_checkpoint(str(run))


def test_opened_checkpoint_has_its_run_and_model_info(lenet_run):
    checkpoint = sources.open_checkpoint(str(lenet_run))
    assert checkpoint.run.path == str(lenet_run)
    assert checkpoint.info.model_name == "lenet"
    assert checkpoint.head_classes(("Nothing", "LeNet/fc4")) == 10
    assert checkpoint.head_classes(("Nothing",)) is None
