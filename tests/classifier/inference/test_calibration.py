"""A fitted temperature is SciPy's, is stored, and changes the probabilities everywhere."""

import dataclasses
import json

import numpy as np
import pytest
import scipy.optimize
import scipy.special
import tensorflow as tf

from classifier.checkpoints import sources
from classifier.inference import answers, calibration, choices
from classifier.inference import predict as predicting
from classifier.inference.answers import Answer
from classifier.inference.calibration import TemperatureFit, rejection_threshold
from classifier.inference.model import InferenceModel
from classifier.inference.outcomes import Outcomes
from classifier.model_info import Calibration
from classifier.run_directory import RunDirectory
from slim import _checks
from tests.classifier.export.test_formats import make_run

RANDOM = np.random.default_rng(2)


def sample(scale, count=400, classes=5):
    """Returns logits that are `scale` times too large, and labels."""
    logits = RANDOM.standard_normal([count, classes]).astype(np.float32) * 2
    probabilities = scipy.special.softmax(logits.astype(np.float64), axis=-1)
    labels = [RANDOM.choice(classes, p=row) for row in probabilities]
    return logits * np.float32(scale), np.array(labels)


def fitted(logits, labels, size=150):
    fit = TemperatureFit()
    update = tf.function(fit.update, autograph=False)
    for start in range(0, len(labels), size):
        # Rows of weight 0 may hold anything.
        rows, own = logits[start : start + size], labels[start : start + size]
        padding = np.full([1, logits.shape[1]], np.nan, np.float32)
        weights = np.append(np.ones(len(own)), 0)
        update(tf.constant(np.concatenate([rows, padding])), np.append(own, 0), weights)
    return fit.result()


@pytest.mark.parametrize("scale", [0.2, 1, 7])
def test_temperature_equals_scipy(scale):
    logits, labels = sample(scale)

    def loss(temperature):
        rows = scipy.special.log_softmax(logits.astype(np.float64) / temperature, axis=-1)
        return -rows[np.arange(len(labels)), labels].mean()

    best = scipy.optimize.minimize_scalar(loss, bounds=(0.05, 20), options={"xatol": 1e-8}).x
    assert best == pytest.approx(scale, rel=0.2)
    assert fitted(logits, labels) == pytest.approx(best, rel=1e-3)


def test_answers_that_are_all_correct_fit_no_temperature():
    logits, _ = sample(5, count=20)
    with pytest.raises(_checks.RunError, match="no temperature fits: the answers are correct. Cal"):
        fitted(logits, logits.argmax(-1))
    with pytest.raises(_checks.RunError, match="the answers are no better than chance. Calibrate"):
        fitted(logits, logits.argmin(-1))


def test_the_threshold_rejects_5_percent_of_the_correct_answers():
    confidences = RANDOM.random(400).astype(np.float32)
    classes = np.stack([np.arange(400) % 2, np.ones(400)], axis=-1).astype(np.int64)
    outcomes = Outcomes(
        labels=np.zeros(400, np.int64), classes=classes,
        probabilities=np.stack([confidences, 1 - confidences], axis=-1),
        label_probabilities=confidences, shards=classes[:, 0], records=classes[:, 0],
        filenames=[""] * 400,
    )  # fmt: skip
    threshold = rejection_threshold(outcomes)
    correct = confidences[outcomes.is_correct]
    assert (correct < threshold).mean() == pytest.approx(0.05, abs=2 / 200)
    assert threshold in correct
    assert rejection_threshold(dataclasses.replace(outcomes, labels=np.full(400, 2))) == 0


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("calibrated"))


@pytest.fixture
def checkpoint(run):
    """The run's checkpoint, calibrated; the run is restored afterwards."""
    opened, path = sources.open_checkpoint(str(run)), run / "model_info.json"
    before = path.read_bytes()
    calibration.store(opened, Calibration(4.0, 0.5, None))
    yield sources.open_checkpoint(str(run))
    path.write_bytes(before)


IMAGES = RANDOM.standard_normal([3, 28, 28, 1]).astype(np.float32)


def test_a_model_divides_the_logits_by_its_temperature(checkpoint):
    model = InferenceModel(checkpoint.info, checkpoint)
    assert (model.temperature, model.rejection_threshold) == (4, 0.5)
    outputs = model(tf.constant(IMAGES))
    expected = tf.nn.softmax(outputs["logits"] / 4)
    np.testing.assert_allclose(outputs["probabilities"], expected, rtol=1e-6)
    assert np.abs(tf.nn.softmax(outputs["logits"]) - expected).max() > 0.01


def test_a_calibration_is_for_one_checkpoint(checkpoint):
    later = dataclasses.replace(checkpoint.info, calibration=Calibration(4.0, 0.5, 9))
    model = InferenceModel(later, checkpoint)
    assert (model.temperature, model.rejection_threshold) == (None, None)


def test_a_file_without_a_calibration_stays_as_it_was(run, checkpoint):
    info = RunDirectory(str(run)).read_model_info()
    assert info.calibration == Calibration(4.0, 0.5, None)
    plain = dataclasses.replace(info, calibration=None).to_dict()
    assert "calibration" not in plain
    assert json.loads((run / "model_info.json").read_text()) == plain | {
        "calibration": {"temperature": 4.0, "rejection_threshold": 0.5, "step": None}
    }


def test_a_calibration_needs_a_writable_model_info(run, checkpoint, monkeypatch):
    undescribed = dataclasses.replace(checkpoint, info=None)
    with pytest.raises(_checks.UserError, match="calibrate stores its result in model_info.json"):
        calibration.check(undescribed)
    monkeypatch.setattr(calibration.evaluation_files, "is_writable", lambda directory: False)
    with pytest.raises(_checks.UserError, match="stores its result in .*, which is read-only"):
        calibration.check(checkpoint)


def test_prediction_rejects_images_below_the_threshold(capsys):
    names, row = ("a", "b", "c"), np.array([0.3, 0.45, 0.25])
    rejected = predicting.answer("x.png", row, names, choices.Best(2, 0.5))
    assert rejected == Answer("x.png", [("b", 0.45), ("a", 0.3)], is_rejected=True)
    assert not predicting.answer("x.png", row, names, choices.Best(2, 0.45)).is_rejected
    assert not predicting.answer("x.png", row, names, choices.Best(2)).is_rejected
    assert answers.as_text(rejected) == "x.png: none of these (b 0.4500, a 0.3000)"
    assert answers.as_csv(rejected).splitlines()[0] == "x.png,0,none of these,,"
    assert len(answers.as_csv(rejected).splitlines()) == 3
    assert json.loads(answers.as_json(rejected))["rejected"] is True
