"""Evaluation, calibration, prediction and exports with several labels an image."""

import csv
import dataclasses
import json
import re
import shutil
import types

import numpy as np
import pytest
import tensorflow as tf
from sklearn import metrics as sklearn

from classifier import report
from classifier.cli import flags
from classifier.config.evaluation import EvalConfig
from classifier.config.export import ExportConfig
from classifier.config.formats import FORMATS
from classifier.config.prediction import PredictConfig
from classifier.export import run as exporting
from classifier.inference import answers, choices, metrics, runtimes
from classifier.inference import predict as predicting
from classifier.inference.answers import Answer
from classifier.model_info import Calibration, ModelInfo
from classifier.run_directory import RunDirectory
from slim import _checks
from tests.classifier import exports, several_labels
from tests.classifier.inference import fakes

RANDOM = np.random.default_rng(8)
LABELS = RANDOM.random([23, 9]) < 0.3
LOGITS = (LABELS * 2 - 1 + RANDOM.normal(0, 1.5, LABELS.shape)).astype(np.float32)


class Model(fakes.Model):
    def __init__(self, logits, temperature=None, thresholds=0.5):
        super().__init__(logits)
        self.info = types.SimpleNamespace(num_classes=logits.shape[1], multi_label=True)
        self.temperature, self.thresholds = temperature, np.full(logits.shape[1], thresholds)

    def __call__(self, images):
        logits = super().__call__(images)["logits"]
        return {"logits": logits, "probabilities": tf.nn.sigmoid(logits / (self.temperature or 1))}


def evaluated(model, labels=LABELS, batch_size=5, mask=None):
    evaluator = metrics.Evaluator(model, keep_outcomes=True)
    batches = fakes.batches(labels.astype(np.int64), batch_size, mask)
    return evaluator(batches, -(-len(labels) // batch_size)), evaluator


@pytest.mark.parametrize("temperature, threshold", [(None, 0.5), (2.5, 0.7)])
def test_metrics_equal_scikit_learn(temperature, threshold):
    mask = np.arange(23) != 7
    result, evaluator = evaluated(Model(LOGITS, temperature, threshold), mask=mask)
    labels, logits = LABELS[mask], LOGITS[mask] / (temperature or 1)
    predicted = 1 / (1 + np.exp(-logits)) >= threshold
    assert result.mean_average_precision == pytest.approx(
        sklearn.average_precision_score(labels, logits), abs=1e-12
    )
    for name in ("micro", "macro"):
        expected = sklearn.precision_recall_fscore_support(
            labels, predicted, average=name, zero_division=0
        )
        ours = [getattr(result, f"{name}_{each}") for each in ("precision", "recall", "f1")]
        assert ours == pytest.approx(expected[:3], abs=1e-12)
    assert result.exact_match == sklearn.accuracy_score(labels, predicted)
    assert result.loss == pytest.approx(
        9 * sklearn.log_loss(labels.ravel(), 1 / (1 + np.exp(-logits.ravel()))), rel=1e-5
    )
    assert result.num_images == 22
    outcomes = evaluator.details().outcomes
    np.testing.assert_array_equal(outcomes.labels, labels)
    np.testing.assert_array_equal(outcomes.predicted, predicted)
    assert outcomes.filenames == [f"{row}.png" for row in np.flatnonzero(mask)]
    again, _ = evaluated(Model(LOGITS, temperature, threshold), batch_size=23, mask=mask)
    assert dataclasses.replace(again, loss=result.loss) == result


def test_without_images_there_are_no_metrics():
    result, evaluator = evaluated(Model(LOGITS[:5]), LABELS[:5], mask=np.zeros(5, bool))
    assert np.isnan([result.mean_average_precision, result.micro_f1, result.exact_match]).all()
    assert evaluator.details().outcomes.labels.shape == (0, 9)


def test_what_is_printed(capsys):
    result, _ = evaluated(Model(LOGITS))
    metrics.report(result, "test", 30)
    metrics.report_details(result, "test")
    metrics.report_as_tf_slim(result)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"test mAP {result.mean_average_precision:.4f} (23 of 30 images)"
    assert lines[1] == f"test micro F1 {result.micro_f1:.4f}, macro F1 {result.macro_f1:.4f}"
    assert lines[-1] == f"test exact match {result.exact_match:.4f}"
    assert list(result.row()) == ["mAP", "micro F1", "macro F1", "exact match", "loss"]


def test_all_labels_above_their_thresholds_are_the_answer():
    info = ModelInfo(model_name="lenet", num_classes=3, image_size=(8, 8), preprocessing_name="x",
                     multi_label=True)  # fmt: skip
    row = np.array([0.5, 0.6, 0.2], np.float32)
    shown = {
        None: [("b", 0.6), ("a", 0.5)],
        (0.7, 0.7, 0.1): [("c", 0.2)],
        (0.9, 0.9, 0.9): [],
    }
    for thresholds, expected in shown.items():
        fitted = Calibration(1.0, 0.0, None, thresholds) if thresholds else None
        choose = choices.choice(info, fitted, 1)
        answer = predicting.answer("x.png", row, "abc", choose)
        assert answer.classes == [(name, pytest.approx(value)) for name, value in expected]
        assert answer.is_rejected == (not expected)
    assert answers.as_text(answer) == "x.png: no label"
    assert answers.as_csv(answer) == "x.png,0,no label,,"
    assert json.loads(answers.as_json(answer)) == {"file": "x.png", "classes": []}
    assert answer == Answer("x.png", [], is_rejected=True)


def test_a_calibration_has_a_threshold_for_each_class():
    with pytest.raises(_checks.UserError, match="calibration has 2 thresholds, but num_classes is"):
        ModelInfo(model_name="lenet", num_classes=3, image_size=(8, 8), preprocessing_name="x",
                  calibration=Calibration(1.0, 0.0, None, (0.1, 0.2)))  # fmt: skip


def run_flags(config, run, capsys, **values):
    """Returns exit code and output of a script."""
    argv = ["x"]
    for name, value in values.items():
        argv += [f"--{name}={each}" for each in (value if isinstance(value, list) else [value])]
    code = int(flags.main(config, run, "", argv))
    return code, capsys.readouterr()


@pytest.fixture
def run(labels_run, tmp_path):
    """A copy of `labels_run`."""
    return shutil.copytree(labels_run, tmp_path / "run")


def read(path):
    """Returns labels, predictions and probabilities of a file of predictions."""
    rows, names = list(csv.DictReader(path.read_text("utf-8").splitlines())), several_labels.CLASSES
    sets = [
        np.array([[name in row[key].split(";") for name in names] for row in rows])
        for key in ("labels", "predicted")
    ]
    return *sets, np.array([[float(row[name]) for name in names] for row in rows])


def test_the_script_evaluates_calibrates_and_reports(run, labels_data, capsys, tmp_path):
    outputs = {"eval_json": tmp_path / "e.json", "predictions_csv": tmp_path / "p.csv",
               "report_dir": tmp_path / "report"}  # fmt: skip
    values = {"train_dir": run, "dataset_dir": labels_data}
    code, out = run_flags(EvalConfig, report.evaluate, capsys, **values, **outputs, calibrate=True)
    assert code == 0, out.err
    labels, predicted, probabilities = read(outputs["predictions_csv"])
    result = json.loads(outputs["eval_json"].read_text())
    assert labels.sum(axis=1).tolist() == [3] * 30
    mean = sklearn.average_precision_score(labels, probabilities)
    assert result["mean_average_precision"] == pytest.approx(mean, abs=1e-12)
    assert result["calibrated_mean_average_precision"] == result["mean_average_precision"]
    for name in ("micro", "macro"):
        score = sklearn.f1_score(labels, predicted, average=name)
        assert result[f"calibrated_{name}_f1"] == pytest.approx(score, abs=1e-12)
        assert score >= result[f"{name}_f1"]
    assert result["calibrated_loss"] < result["loss"]
    stored = RunDirectory(str(run)).read_model_info().calibration
    np.testing.assert_array_equal(predicted, probabilities >= np.array(stored.thresholds))
    assert [row["threshold"] for row in result["classes"]] == list(stored.thresholds)
    aps = sklearn.average_precision_score(labels, probabilities, average=None)
    assert [row["average_precision"] for row in result["classes"]] == pytest.approx(list(aps))
    page = (tmp_path / "report" / "index.html").read_text("utf-8")
    assert f'<dt>mAP</dt><dd class="value">{mean:.1%}</dd>' in page
    ids = re.findall(r'<section id="([\w-]+)"', page)
    assert ids[:3] == ["summary", "curves", "confusion"]
    assert {"classes", "calibration", "mistakes", "balance", "configuration"} <= set(ids)
    # The next evaluation uses what is stored, and does not replace it.
    code, out = run_flags(EvalConfig, report.evaluate, capsys, **values, use_averages="false")
    micro, macro = result["calibrated_micro_f1"], result["calibrated_macro_f1"]
    assert f"validation micro F1 {micro:.4f}, macro F1 {macro:.4f}" in out.out
    # All checkpoints are compared by mean average precision.
    code, out = run_flags(
        EvalConfig, report.evaluate, capsys, **values, checkpoint_path="all", max_num_batches=1
    )
    assert re.search(r"best: .* \(mAP 0\.\d{4}\)", out.out)


def test_prediction_shows_all_labels(run, labels_data, capsys):
    files = sorted(map(str, (labels_data.parent / "source" / "images").iterdir()))[:4]
    values = {"checkpoint_path": run, "images": files, "output_format": "json"}
    code, out = run_flags(PredictConfig, predicting.run, capsys, **values)
    assert code == 0, out.err
    rows = [json.loads(line) for line in out.out.splitlines()]
    shown = [each["probability"] for row in rows for each in row["classes"]]
    assert min(shown) >= 0.5
    assert max(len(row["classes"]) for row in rows) > 1
    code, out = run_flags(PredictConfig, predicting.run, capsys, **values, top_k=2)
    assert code == 2
    assert "--top_k=2 has no effect with several labels an image" in out.err
    neighbors = {"neighbors": labels_data, "neighbors_split": "validation", "top_k": 1}
    code, out = run_flags(PredictConfig, predicting.run, capsys, **values, **neighbors)
    assert code == 0, out.err
    (first,) = json.loads(out.out.splitlines()[0])["neighbors"]
    assert first["class"].count(";") == 2


def test_a_dataset_of_several_labels_needs_their_model(trained, labels_data, capsys):
    values = {"train_dir": trained, "dataset_name": "folder", "dataset_dir": labels_data}
    code, out = run_flags(EvalConfig, report.evaluate, capsys, **values)
    assert code == 2
    assert "have several labels, but the model has one class an image" in out.err


def test_options_describe_a_model_without_model_info(run, labels_data, capsys):
    (run / "model_info.json").unlink()
    values = {"checkpoint_path": run / "model.ckpt-60", "dataset_name": "folder",
              "dataset_dir": labels_data, "dataset_split_name": "validation",
              "model_name": "lenet", "use_grayscale": True, "eval_image_size": 16}  # fmt: skip
    code, out = run_flags(EvalConfig, report.evaluate, capsys, **values)
    assert code == 0, out.err
    assert "validation mAP 0." in out.out
    code, out = run_flags(EvalConfig, report.evaluate, capsys, **values, multi_label=False)
    assert code == 2
    assert "--multi_label=false contradicts dataset 'folder'" in out.err
    image = labels_data.parent / "source" / "images" / "000.png"
    described = {"model_name": "lenet", "use_grayscale": True, "images": [image]}
    described["image_size"] = 16
    texts = [
        run_flags(PredictConfig, predicting.run, capsys, checkpoint_path=run, **described,
                  multi_label=each, output_format="csv")[1].out
        for each in (True, False)
    ]  # fmt: skip
    several, best = ([float(row.split(",")[3]) for row in text.splitlines()[1:]] for text in texts)
    assert min(several) >= 0.5
    assert len(best) == 5
    assert sum(best) <= 1


def test_an_export_without_model_info_has_sigmoids(run, capsys, tmp_path):
    (run / "model_info.json").unlink()
    values = {"checkpoint_path": run, "model_name": "lenet", "use_grayscale": True,
              "formats": "keras,frozen_pb", "output_dir": tmp_path / "out",
              "image_size": 16}  # fmt: skip
    code, out = run_flags(ExportConfig, exporting.run, capsys, **values, multi_label=True)
    assert code == 0, out.err
    assert "any number of them an image" in out.out
    graph = runtimes.read_graph((tmp_path / "out" / "lenet.pb").read_bytes())
    assert {node.name: node.op for node in graph.node}["probabilities"] == "Sigmoid"
    assert not any(node.op == "Softmax" for node in graph.node)
    graph_only = {"model_name": "lenet", "output_file": tmp_path / "g.pb", "multi_label": True}
    code, out = run_flags(ExportConfig, exporting.run, capsys, **graph_only)
    assert code == 2
    assert "--multi_label needs --checkpoint_path: a graph without weights ends as" in out.err


def tolerance(name):
    """How far a probability of a format may be from the checkpoint's; None if it has none."""
    eight_bits = {"tflite_dynamic": 0.1, "tflite_int8": 0.1}
    return {"weights_h5": None, "c_array": None, "tflite_float16": 0.01, **eight_bits}.get(
        name, 1e-5
    )


@pytest.mark.slow
def test_exports_answer_as_the_checkpoint(run, labels_data, capsys, tmp_path):
    values = {"train_dir": run, "dataset_dir": labels_data, "calibrate": True}
    values["eval_json"] = tmp_path / "e.json"
    assert run_flags(EvalConfig, report.evaluate, capsys, **values)[0] == 0
    out_dir = tmp_path / "out"
    names = list(filter(exports.is_installed, FORMATS))
    code, out = run_flags(
        ExportConfig, exporting.run, capsys, checkpoint_path=run, output_dir=out_dir,
        dataset_dir=labels_data, formats=",".join(names), eval_json=tmp_path / "e.json",
        max_drop=50,
    )  # fmt: skip
    assert code == 0, out.err
    compared = re.findall(r"same classes for (\d+) of (\d+) images.*micro F1 \d", out.out)
    assert len(compared) == len(names)
    files = sorted(map(str, (labels_data.parent / "source" / "images").iterdir()))[:9]
    images = {"images": files, "output_csv": tmp_path / "answers.csv"}

    def predicted(model):
        code, out = run_flags(
            PredictConfig, predicting.run, capsys, checkpoint_path=model, **images
        )
        assert code == 0, out.err
        return list(csv.DictReader((tmp_path / "answers.csv").read_text().splitlines()))

    expected = predicted(run)
    models = []
    for name in filter(tolerance, names):
        models.append(out_dir / FORMATS[name].file.format(model="lenet", version=60))
        rows = predicted(models[-1])
        if tolerance(name) <= 0.01:
            assert [row["class"] for row in rows] == [row["class"] for row in expected]
        ours, theirs = ({(row["file"], row["class"]): float(row["probability"]) for row in each}
                        for each in (rows, expected))  # fmt: skip
        for key in ours.keys() & theirs.keys():
            assert ours[key] == pytest.approx(theirs[key], abs=tolerance(name))
    card = (out_dir / "README.md").read_text()
    result = json.loads((tmp_path / "e.json").read_text())
    stored = RunDirectory(str(run)).read_model_info().calibration
    assert RunDirectory(str(out_dir)).read_model_info().calibration == stored
    assert f"| bar | {stored.thresholds[0]:.4f} |" in card
    assert f"| micro_f1 | {result['calibrated_micro_f1']:.4f} |" in card
    assert "6 classes, any number of them an image" in card
    for code in re.findall(r"```python\n(.*?)```", card, flags=re.S):
        if "weights.h5" in code:
            continue
        shutil.copy(files[0], tmp_path / "image.png")
        code = code.replace('"image.jpg"', repr(str(tmp_path / "image.png")))
        for name in (
            *(str(path.relative_to(out_dir)) for path in models),
            "labels.txt",
            "model_info.json",
        ):
            code = code.replace(f'"{name}', f'"{out_dir / name}')
        exec(compile(code, "card", "exec"), {})
        (line,) = capsys.readouterr().out.splitlines()[-1:]
        names = [row["class"] for row in expected if row["file"] == files[0]]
        if "int8" not in code and "dynamic" not in code:
            assert set(re.findall(r"'(\w+)'", line)) == set(names)
