"""What is left of an export that fails, is ended, or comes after another one."""

import os
import signal

import pytest

from classifier import ownership
from classifier.export import keras, saved_model
from slim import _checks, _ownership, _paths, signals
from tests.classifier.export.test_formats import export_to


def fail(job):
    raise _checks.RunError("so it was not kept")


def names(folder):
    return sorted(path.name for path in folder.iterdir() if path.name != _ownership.MARK)


def test_a_format_that_fails_spoils_none_before_it(lenet_run, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(keras, "write_model", fail)
    ownership.claim_export(str(tmp_path))
    (tmp_path / "lenet.keras").write_text("of an earlier export")
    (tmp_path / "saved_model" / "300").mkdir(parents=True)
    with pytest.raises(_checks.RunError, match="so it was not kept"):
        export_to(tmp_path, lenet_run, "weights_h5", "keras", "frozen_pb")
    assert names(tmp_path) == [
        "README.md", "labels.txt", "lenet.keras", "lenet.weights.h5", "saved_model",
    ]  # fmt: skip
    said = capsys.readouterr().out
    assert "earlier export, and left as they are: saved_model, lenet.keras\n" in said
    assert "### lenet.weights.h5" in said
    card = (tmp_path / "README.md").read_text()
    assert "| weights_h5 | `lenet.weights.h5` |" in card
    assert "This card says nothing of `saved_model`, `lenet.keras`, which may" in card


def test_nothing_is_left_where_the_first_format_fails(lenet_run, tmp_path, monkeypatch):
    monkeypatch.setattr(keras, "write_model", fail)
    with pytest.raises(_checks.RunError, match="so it was not kept"):
        export_to(tmp_path, lenet_run, "keras", "weights_h5")
    assert names(tmp_path) == []


def test_an_export_that_is_ended_leaves_nothing(lenet_run, tmp_path, monkeypatch):
    former = signal.getsignal(signal.SIGTERM)
    # In the midst of a SavedModel.
    monkeypatch.setattr(
        saved_model.warm_up, "write", lambda *_: os.kill(os.getpid(), signal.SIGTERM)
    )
    with pytest.raises(signals.Stopped) as stopped, signals.raise_on_signals():
        export_to(tmp_path, lenet_run, "saved_model")
    assert stopped.value.__notes__ == ["Formats that are complete: none"]
    assert names(tmp_path) == []
    assert signal.getsignal(signal.SIGTERM) == former


def test_the_next_export_removes_what_a_killed_one_left(lenet_run, tmp_path):
    left = tmp_path / ".saving-a_killed" / "model"
    left.mkdir(parents=True)
    (left.parent / "lock").write_text(_paths._LOCK_TEXT)
    export_to(tmp_path, lenet_run, "weights_h5")
    assert names(tmp_path) == ["README.md", "labels.txt", "lenet.weights.h5"]
