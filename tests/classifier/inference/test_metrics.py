"""The metrics of an evaluation equal scikit-learn's, and each image counts once."""

import math

import numpy as np
import pytest
import sklearn.metrics
import tensorflow as tf

from classifier import inputs
from classifier.inference.metrics import Evaluator
from slim import _checks, metrics
from tests.classifier import toys
from tests.classifier.inference import fakes

CLASSES = 8  # 6 has no image; 7 is never predicted
RANDOM = np.random.default_rng(1)
LABELS = RANDOM.choice([0, 1, 2, 3, 4, 5, 7], 50)
# Few values: half of the rows have ties.
LOGITS = RANDOM.integers(-2, 3, [50, CLASSES]).astype(np.float32)
LOGITS[np.arange(50), LABELS] += RANDOM.integers(0, 2, 50)
LOGITS[:, 7] = -5
MASK = RANDOM.random(50) < 0.8


@pytest.fixture(scope="module")
def evaluated():
    logits = LOGITS.copy()
    logits[np.flatnonzero(~MASK)] = np.nan  # as a bad image may have
    return fakes.evaluate(logits, LABELS, mask=MASK, keep_outcomes=True)


def test_metrics_equal_scikit_learn(evaluated):
    result, _ = evaluated
    labels, logits = LABELS[MASK], LOGITS[MASK]
    probabilities = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    predicted = logits.argmax(-1)
    order = np.argsort(-logits, axis=-1, kind="stable")[:, :5]
    expected = {
        "accuracy": sklearn.metrics.accuracy_score(labels, predicted),
        "recall_at_k": (order == labels[:, None]).any(-1).mean(),
        "loss": sklearn.metrics.log_loss(labels, probabilities, labels=range(CLASSES)),
    }
    for average in ("macro", "weighted"):
        scores = sklearn.metrics.precision_recall_fscore_support(
            labels, predicted, average=average, labels=np.unique(labels), zero_division=0
        )
        expected |= {f"{average}_precision": scores[0], f"{average}_f1": scores[2]}
        expected |= {"macro_recall": scores[1]} if average == "macro" else {}
    actual = {name: getattr(result, name) for name in expected}
    assert actual == pytest.approx(expected, rel=1e-5)
    assert (result.k, result.num_images) == (5, MASK.sum())
    calibration = metrics.CalibrationError()
    calibration.update(probabilities.max(-1), predicted == labels)
    assert result.calibration_error == pytest.approx(calibration.result(), rel=1e-5)


def test_confusions_come_in_the_order_of_their_counts(evaluated):
    matrix = sklearn.metrics.confusion_matrix(
        LABELS[MASK], LOGITS[MASK].argmax(-1), labels=range(CLASSES)
    )
    rows = evaluated[1].details().confusions
    assert [row[2] for row in rows] == sorted((row[2] for row in rows), reverse=True)
    np.fill_diagonal(matrix, 0)
    assert {row[:2]: row[2] for row in rows} == {
        (int(i), int(j)): matrix[i, j] for i, j in np.argwhere(matrix)
    }


def test_outcomes_have_each_counted_image_in_order(evaluated):
    outcomes = evaluated[1].details().outcomes
    kept = np.flatnonzero(MASK)
    assert list(outcomes.filenames) == [f"{row}.png" for row in kept]
    np.testing.assert_array_equal(outcomes.shards * 5 + outcomes.records, kept)
    np.testing.assert_array_equal(outcomes.labels, LABELS[kept])
    order = np.argsort(-LOGITS[kept], axis=-1, kind="stable")[:, :5]
    np.testing.assert_array_equal(outcomes.classes, order)
    probabilities = tf.nn.softmax(LOGITS[kept]).numpy()
    expected = np.take_along_axis(probabilities, order, axis=1)
    np.testing.assert_allclose(outcomes.probabilities, expected, rtol=1e-6)
    expected = probabilities[np.arange(len(kept)), LABELS[kept]]
    np.testing.assert_allclose(outcomes.label_probabilities, expected, rtol=1e-6)
    assert outcomes.is_correct.mean() == evaluated[0].accuracy


def test_outcomes_are_kept_only_on_request():
    assert fakes.evaluate(LOGITS, LABELS)[1].details().outcomes is None


def test_another_evaluation_starts_over():
    model = fakes.Model(LOGITS)
    evaluator = Evaluator(model, keep_outcomes=True)
    batches = fakes.batches(LABELS, 7)
    assert evaluator(batches, 8) == evaluator(batches, 8)
    assert len(evaluator.details().outcomes.labels) == 50
    cold = evaluator(batches, 8)
    model.temperature = 3.0
    warm = evaluator(batches, 8)
    assert warm.accuracy == cold.accuracy
    expected = tf.nn.sparse_softmax_cross_entropy_with_logits(LABELS, LOGITS / 3)
    assert warm.loss == pytest.approx(float(tf.reduce_mean(expected)), rel=1e-6)
    assert warm.calibration_error != cold.calibration_error


def test_no_image_at_all_has_no_metrics():
    result, evaluator = fakes.evaluate(LOGITS, LABELS, mask=np.zeros(50, bool), keep_outcomes=True)
    assert result.num_images == 0
    assert math.isnan(result.accuracy)
    assert math.isnan(result.macro_f1)
    assert len(evaluator.details().outcomes.classes) == 0


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_logits_that_are_not_finite_are_an_error(bad):
    logits = LOGITS.copy()
    logits[9, 3] = bad
    with pytest.raises(_checks.RunError, match="the logits of batch 1 are not finite: the run"):
        fakes.evaluate(logits, LABELS)


def test_a_hundred_thousand_classes_take_little_memory():
    labels = RANDOM.integers(0, 100_000, 6)
    logits = tf.one_hot(labels, 100_000).numpy()
    result, evaluator = fakes.evaluate(logits, labels, batch_size=3)
    assert (result.accuracy, result.macro_recall) == (1, 1)
    details = evaluator.details()
    assert (details.confusions, int(details.scores.support.sum())) == ([], 6)


SIZES = [((3, 2), (4,))]
MORE_SIZES = [
    ((10, 5, 3), (9, 10, 17)),
    ((1,), ()),
    ((6,), (0, 1, 2, 5)),
    ((7,), tuple(range(7))),
    ((4, 9), (3, 4)),
]


@pytest.mark.parametrize(
    "shards, bad", [*SIZES, *(pytest.param(*each, marks=pytest.mark.slow) for each in MORE_SIZES)]
)
def test_each_image_counts_once_whatever_the_size(tmp_path, shards, bad):
    """Of 1 image to 3 batches of 6, without those that cannot be decoded."""
    total = sum(shards)
    records = toys.images(total)
    for place in bad:
        records[place] = records[place]._replace(encoded=b"bad")
    dataset = toys.load(toys.write(tmp_path, shards, records))
    skipped = inputs.BadImages()
    batches = toys.evaluation(dataset, batch_size=6, skipped=skipped)
    logits = RANDOM.standard_normal([256, toys.NUM_CLASSES]).astype(np.float32)
    evaluator = Evaluator(fakes.Model(logits), keep_outcomes=True)
    result = evaluator(batches.map(_first_pixel), -(-total // 6))
    outcomes = evaluator.details().outcomes
    good = [place for place in range(total) if place not in bad]
    starts = np.array(inputs.first_positions(dataset))
    assert (starts[outcomes.shards] + outcomes.records).tolist() == good
    assert outcomes.labels.tolist() == [place % toys.NUM_CLASSES for place in good]
    assert [name.removeprefix("café/") for name in outcomes.filenames] == [
        f"{place:03d}.png" for place in good
    ]
    assert result.num_images == len(good)
    assert len(skipped.take_new()) == len(bad)


def _first_pixel(batch):
    return batch | {"image": tf.cast(batch["image"] * 128 + 128, tf.uint8)}
