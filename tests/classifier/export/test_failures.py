"""Files that remain after an export that fails, is interrupted, or follows another one."""

import os
import signal

import pytest

from classifier import ownership
from classifier.export import keras, saved_model
from slim import _checks, _ownership, _paths, signals
from tests.classifier.export.test_formats import export_to


def fail(job):
    raise _checks.RunError("so it was not kept")


def names(directory):
    return sorted(path.name for path in directory.iterdir() if path.name != _ownership.MARK)


def test_failed_format_keeps_the_earlier_ones(lenet_run, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(keras, "write_model", fail)
    ownership.claim_export(str(tmp_path))
    (tmp_path / "lenet.keras").write_text("earlier")
    (tmp_path / "saved_model" / "300").mkdir(parents=True)
    with pytest.raises(_checks.RunError, match="so it was not kept"):
        export_to(tmp_path, lenet_run, "weights_h5", "keras", "frozen_pb")
    assert names(tmp_path) == [
        "README.md", "labels.txt", "lenet.keras", "lenet.weights.h5", "model_info.json",
        "saved_model",
    ]  # fmt: skip
    stdout = capsys.readouterr().out
    assert "unchanged files of earlier exports: saved_model, lenet.keras\n" in stdout
    assert "### lenet.weights.h5" in stdout
    card = (tmp_path / "README.md").read_text()
    assert "| weights_h5 | `lenet.weights.h5` |" in card
    assert "This card does not describe `saved_model`, `lenet.keras`." in card


def test_nothing_remains_if_the_first_format_fails(lenet_run, tmp_path, monkeypatch):
    monkeypatch.setattr(keras, "write_model", fail)
    with pytest.raises(_checks.RunError, match="so it was not kept"):
        export_to(tmp_path, lenet_run, "keras", "weights_h5")
    assert names(tmp_path) == []


def test_interrupted_export_leaves_nothing(lenet_run, tmp_path, monkeypatch):
    former = signal.getsignal(signal.SIGTERM)
    # In the midst of a SavedModel.
    monkeypatch.setattr(
        saved_model.warm_up, "write", lambda *_: os.kill(os.getpid(), signal.SIGTERM)
    )
    with pytest.raises(signals.Stopped) as stopped, signals.raise_on_signals():
        export_to(tmp_path, lenet_run, "saved_model")
    assert stopped.value.__notes__ == ["Completed formats: none"]
    assert names(tmp_path) == []
    assert signal.getsignal(signal.SIGTERM) == former


def test_next_export_removes_files_of_a_killed_one(lenet_run, tmp_path):
    scratch = tmp_path / ".saving-a_killed" / "model"
    scratch.mkdir(parents=True)
    (scratch.parent / "lock").write_text(_paths._LOCK_TEXT)
    export_to(tmp_path, lenet_run, "weights_h5")
    assert names(tmp_path) == ["README.md", "labels.txt", "lenet.weights.h5", "model_info.json"]
