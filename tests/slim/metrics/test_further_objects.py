"""Objects with `tf.keras.metrics` underneath, kappa, F1 and correlation equal scikit-learn."""

import math

import numpy as np
import pytest
import tensorflow as tf

import slim
from slim import _checks, metrics
from tests.slim import tiny
from tests.slim.metrics import samples
from tests.slim.metrics.samples import ALL, CLASSES, at_thresholds, weighted

SCORES = ("scores", "labels", "weights")
NUMBERS = ("x", "y", "weights")
CLASS = ("guesses", "classes", "weights")
ERROR = ALL["x"] - ALL["y"]


def best(value, target, goal):
    """Returns the highest value where a rate reaches its goal."""
    pairs = at_thresholds(lambda *each: (value(*each), target(*each)), samples.evenly_spaced())
    return max(value for value, rate in pairs if rate >= goal - 1e-6)


def recall(tp, fn, tn, fp):
    return tp / (tp + fn)


def specificity(tp, fn, tn, fp):
    return tn / (tn + fp)


def precision(tp, fn, tn, fp):
    return tp / (tp + fp) if tp + fp else 0


CASES = {
    "TruePositives": (metrics.TruePositives, SCORES, samples.counts(0.5)[0]),
    "FalseNegatives": (metrics.FalseNegatives, SCORES, samples.counts(0.5)[1]),
    "TrueNegatives": (metrics.TrueNegatives, SCORES, samples.counts(0.5)[2]),
    "FalsePositives": (metrics.FalsePositives, SCORES, samples.counts(0.5)[3]),
    "Precision": (metrics.Precision, SCORES, precision(*samples.counts(0.5))),
    "Recall": (metrics.Recall, SCORES, recall(*samples.counts(0.5))),
    "Recall at 0.3": (lambda: metrics.Recall(0.3), SCORES, recall(*samples.counts(0.3))),
    "Precision at several": (
        lambda: metrics.Precision(samples.THRESHOLDS), SCORES, at_thresholds(precision)),
    "AUC": (lambda: metrics.AUC(1000), SCORES, samples.area()),
    "F1Score": (metrics.F1Score, SCORES, samples.best_f1()),
    "RecallAtPrecision": (
        lambda: metrics.RecallAtPrecision(0.6), SCORES, best(recall, precision, 0.6)),
    "PrecisionAtRecall": (
        lambda: metrics.PrecisionAtRecall(0.6), SCORES, best(precision, recall, 0.6)),
    "SensitivityAtSpecificity": (
        lambda: metrics.SensitivityAtSpecificity(0.6), SCORES, best(recall, specificity, 0.6)),
    "SpecificityAtSensitivity": (
        lambda: metrics.SpecificityAtSensitivity(0.6), SCORES, best(specificity, recall, 0.6)),
    "MeanIoU": (lambda: metrics.MeanIoU(CLASSES), CLASS, samples.mean_iou()),
    "CohenKappa": (lambda: metrics.CohenKappa(CLASSES), CLASS, samples.kappa()),
    "MeanAbsoluteError": (metrics.MeanAbsoluteError, NUMBERS, weighted(np.abs(ERROR))),
    "MeanSquaredError": (metrics.MeanSquaredError, NUMBERS, weighted(ERROR**2)),
    "RootMeanSquaredError": (
        metrics.RootMeanSquaredError, NUMBERS, math.sqrt(weighted(ERROR**2))),
    "PearsonCorrelation": (metrics.PearsonCorrelation, NUMBERS, samples.correlation()),
}  # fmt: skip


def test_each_object_has_a_case():
    tested = {name.split()[0] for name in CASES}
    classes = {name for name in metrics.__all__ if isinstance(getattr(metrics, name), type)}
    elsewhere = {"CalibrationError", "ClassScores", "LabelScores", "SparseConfusionMatrix"}
    elsewhere |= {"Accuracy", "ConfusionMatrix", "Mean", "RecallAtK"}
    assert classes - tested == elsewhere


@pytest.mark.parametrize("traced", [False, True])
@pytest.mark.parametrize("make, names, expected", CASES.values(), ids=CASES)
def test_result_equals_the_oracle_and_reset_starts_over(make, names, expected, traced):
    metric = make()
    signature = [tf.TensorSpec([None], ALL[name].dtype) for name in names]
    update = tf.function(metric.update, signature, autograph=False) if traced else metric.update
    results = []
    for _ in range(2):
        for batch in samples.batches(*names):
            update(*map(tf.constant, batch))
        results.append(metric.result())
        metric.reset()
    np.testing.assert_array_equal(*results)
    np.testing.assert_allclose(results[0], expected, rtol=1e-4)
    assert isinstance(results[0], float if np.ndim(expected) == 0 else np.ndarray)


@pytest.mark.parametrize("make, names, expected", CASES.values(), ids=CASES)
def test_elements_of_weight_zero_do_not_count_whatever_their_values(make, names, expected):
    first, labels, weights = next(iter(samples.batches(*names)))
    clean, padded = make(), make()
    clean.update(first, labels, weights)
    filler = np.nan if first.dtype == np.float32 else 0
    padded.update(
        np.append(first, filler).astype(first.dtype), np.append(labels, labels[:1]),
        np.append(weights, np.float32(0)),
    )  # fmt: skip
    np.testing.assert_allclose(padded.result(), clean.result(), rtol=1e-12)


def test_weights_are_optional_and_broadcast():
    scores, labels = ALL["scores"][:20].reshape(10, 2), ALL["labels"][:20].reshape(10, 2)
    plain, halves = metrics.Precision(), metrics.TruePositives()
    plain.update(scores, labels)
    halves.update(scores, labels, tf.fill([10, 1], 0.5))
    hits = ((scores > 0.5) & (labels > 0)).sum()
    assert plain.result() == pytest.approx(hits / (scores > 0.5).sum())
    assert halves.result() == hits / 2


@pytest.mark.slow
def test_evaluate_once_accepts_each_object(tmp_path):
    op = tiny.train_op()
    slim.learning.train(op, str(tmp_path), tiny.batches(), number_of_steps=2)
    objects = {name: case for name, case in CASES.items() if np.ndim(case[2]) == 0}

    def eval_fn(images, labels):
        logits = tiny.network(images, is_training=False)
        columns = {
            "scores": tf.nn.softmax(logits)[:, 1],
            "labels": tf.cast(labels == 1, tf.int32),
            "guesses": tf.argmax(logits, -1),
            "classes": labels,
            "x": logits[:, 0],
            "y": images[:, 0],
        }
        return {name: [columns[each] for each in case[1][:2]] for name, case in objects.items()}

    makers = {name: case[0] for name, case in objects.items()}
    results = slim.evaluation.evaluate_once(
        str(tmp_path), None, tiny.batches(10, repeat=False), eval_fn, makers
    )
    assert set(results) == set(objects)
    assert all(map(math.isfinite, results.values()))
    labels = tiny.arrays()[1]
    assert results["TruePositives"] + results["FalseNegatives"] == sum(labels == 1)
    assert results["FalsePositives"] + results["TrueNegatives"] == sum(labels != 1)


def test_correlation_without_variance_is_nan():
    metric = metrics.PearsonCorrelation()
    assert math.isnan(metric.result())
    metric.update([1.0, 1.0], [1.0, 2.0])
    assert math.isnan(metric.result())


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: metrics.F1Score(0), "num_thresholds=0 must be positive"),
        (lambda: metrics.CohenKappa(0), "num_classes=0 must be positive"),
    ],
)
def test_sizes_below_one_are_an_error(make, message):
    with pytest.raises(_checks.UserError, match=message):
        make()


def test_predictions_of_another_shape_are_an_error():
    with pytest.raises(ValueError, match="incompatible"):
        metrics.Precision().update([[0.5, 0.5]], [1, 0])
