"""The files and tables that an evaluation writes."""

import csv
import json
import math

import numpy as np
import pytest

from classifier import ownership
from classifier.config.evaluation import EvaluationOptions
from classifier.inference import evaluation_files as files
from classifier.inference import evaluation_tables as tables
from classifier.inference.outcomes import Outcomes
from classifier.run_directory import RunDirectory
from slim import _checks
from slim.metrics import ClassScores
from tests.classifier.inference.test_report import EVALUATION

NAMES = ("a", 'b, "c"', "é")
OUTCOMES = Outcomes(
    labels=np.array([1, 0]),
    classes=np.array([[1, 2], [2, 0]]),
    probabilities=np.array([[0.75, 0.25], [0.5, 0.125]], np.float32),
    label_probabilities=np.array([0.75, 0.125], np.float32),
    shards=np.array([0, 1]),
    records=np.array([4, 0]),
    filenames=["x,1.png", "caf\udce9.png"],
)


def test_predictions_are_a_row_per_image(tmp_path):
    path = tmp_path / "new" / "p.csv"
    files.write_predictions(str(path), OUTCOMES, NAMES, ["s0", "s1"])
    with open(path, encoding="utf-8", errors="surrogateescape", newline="") as file:
        header, *rows = csv.reader(file)
    assert header == ["file", "shard", "record", "label", "class_1", "probability_1", "class_2",
                      "probability_2"]  # fmt: skip
    assert rows == [
        ["x,1.png", "s0", "4", NAMES[1], NAMES[1], "0.75", "é", "0.25"],
        ["caf\udce9.png", "s1", "0", "a", "é", "0.5", "a", "0.125"],
    ]
    ownership.check_output("predictions_csv", str(path))
    path.write_text("mine")
    with pytest.raises(_checks.UserError, match="predictions_csv=.* is not a table of an evaluat"):
        ownership.check_output("predictions_csv", str(path))


def test_json_has_a_line_per_class_and_confusion(tmp_path):
    scores = ClassScores(np.array([2, 2, 0]), np.array([0, 3, 1]), np.array([0, 2, 0]))
    values = {
        "accuracy": 0.5,
        "classes": files.class_rows(scores, NAMES),
        "confusions": files.confusion_rows([(0, 1, 3), (2, 0, 1)], NAMES),
        "none": [],
    }
    path = tmp_path / "new" / "e.json"
    files.write_json(str(path), values)
    assert json.loads(path.read_text("utf-8")) == values
    assert len(path.read_text("utf-8").splitlines()) == 13
    assert values["classes"][0] == {
        "class": "a", "support": 2, "precision": None, "recall": 0.0, "f1": 0.0
    }  # fmt: skip
    assert values["classes"][1]["precision"] == pytest.approx(2 / 3)
    assert values["classes"][2] == {
        "class": "é", "support": 0, "precision": 0.0, "recall": None, "f1": 0.0
    }  # fmt: skip
    assert values["confusions"][0] == {"label": "a", "predicted": NAMES[1], "count": 3}
    many = files.confusion_rows([(0, 1, 1)] * 1001, NAMES)
    assert len(many) == 1000


def test_metrics_have_the_prefix_of_their_weights():
    values = files.metric_values({"": EVALUATION, "raw_": EVALUATION})
    assert values["accuracy"] == values["raw_accuracy"] == 0.93
    assert len(values) == 22
    ends = files.intervals({"raw_": EVALUATION})["raw_accuracy_interval"]
    assert ends == pytest.approx([0.8625, 0.9657], abs=1e-4)
    assert not any(map(math.isnan, values.values()))


def test_a_table_is_aligned():
    lines = tables.side_by_side({"averages": EVALUATION, "weights": EVALUATION}).splitlines()
    assert lines[0].split() == ["accuracy", "recall_5", "macro", "recall", "loss", "calibration",
                                "error"]  # fmt: skip
    assert lines[1].split() == ["averages", "0.9300", "0.9900", "0.9000", "0.2000", "0.0300"]
    assert len(set(map(len, lines))) == 1


def test_without_permission_there_are_no_events(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(files, "is_writable", lambda directory: False)
    events = files.Events(EvaluationOptions(train_dir="run"), RunDirectory(str(tmp_path)))
    events.write(3, "test", {"accuracy": 0.5})
    events.close()
    assert "no events written: " in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("error", [PermissionError(13, "x"), OSError(30, "read-only")])
def test_a_directory_that_cannot_be_created_is_read_only(monkeypatch, error):
    def makedirs(path, exist_ok):
        raise error

    monkeypatch.setattr(files.os, "makedirs", makedirs)
    assert not files.is_writable("run/eval")
    error.errno = 28
    if not isinstance(error, PermissionError):
        with pytest.raises(OSError, match="read-only"):
            files.is_writable("run/eval")
