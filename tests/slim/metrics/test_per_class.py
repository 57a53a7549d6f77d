"""Scores by class, calibration and the interval of a fraction equal scikit-learn, SciPy, NumPy."""

import math

import numpy as np
import pytest
import scipy.stats
import sklearn.metrics
import tensorflow as tf

from slim import _checks, metrics

CLASSES = 9  # 6 has no example, 7 is never predicted, 8 neither
RANDOM = np.random.default_rng(3)
LABELS = RANDOM.choice([0, 1, 2, 3, 4, 5, 7], 200)
GUESSES = np.where(RANDOM.random(200) < 0.5, LABELS, RANDOM.integers(0, 7, 200))
GUESSES[GUESSES == 7] = 2
WEIGHTS = RANDOM.integers(0, 2, 200)
KEPT = WEIGHTS > 0


def batches(*arrays):
    for part in np.split(np.arange(len(arrays[0])), [1, 40, 40, 110]):
        yield [tf.constant(array[part]) for array in arrays]


@pytest.fixture(scope="module", params=[False, True], ids=["eager", "traced"])
def matrix(request):
    metric = metrics.SparseConfusionMatrix(CLASSES)
    update = tf.function(metric.update, autograph=False) if request.param else metric.update
    update(tf.constant([4]), tf.constant([5]), tf.constant([1]))
    metric.reset()
    for batch in batches(GUESSES, LABELS, WEIGHTS):
        update(*batch)
    return metric


def test_pairs_equal_the_dense_matrix(matrix):
    pairs, counts = matrix.result()
    dense = np.zeros([CLASSES, CLASSES], np.int64)
    dense[tuple(pairs.T)] = counts
    labels = range(CLASSES)
    expected = sklearn.metrics.confusion_matrix(LABELS[KEPT], GUESSES[KEPT], labels=labels)
    np.testing.assert_array_equal(dense, expected)
    assert (counts > 0).all()
    assert pairs.tolist() == sorted(pairs.tolist())
    confusions = matrix.confusions()
    assert [count for *_, count in confusions] == sorted(dense[~np.eye(CLASSES, dtype=bool)])[
        : -len(confusions) - 1 : -1
    ]
    assert all(label != guess and dense[label, guess] == n for label, guess, n in confusions)
    assert sum(n for *_, n in confusions) == dense.sum() - dense.trace()


def test_scores_of_the_classes_equal_scikit_learn(matrix):
    scores = matrix.class_scores()
    expected = sklearn.metrics.precision_recall_fscore_support(
        LABELS[KEPT], GUESSES[KEPT], labels=range(CLASSES), zero_division=np.nan
    )
    actual = (scores.precisions, scores.recalls, scores.f1_scores, scores.support)
    for ours, theirs in zip(actual, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12)
    np.testing.assert_array_equal(np.bincount(GUESSES[KEPT], minlength=CLASSES), scores.predicted)


@pytest.mark.parametrize("average", ["macro", "weighted"])
def test_averages_over_classes_with_examples_equal_scikit_learn(matrix, average):
    scores = matrix.class_scores()
    expected = sklearn.metrics.precision_recall_fscore_support(
        LABELS[KEPT], GUESSES[KEPT], labels=np.unique(LABELS[KEPT]), average=average,
        zero_division=0,
    )  # fmt: skip
    ours = [getattr(scores, average)(each) for each in
            (scores.precisions, scores.recalls, scores.f1_scores)]  # fmt: skip
    np.testing.assert_allclose(ours, expected[:3], rtol=1e-12)


def test_without_examples_there_are_no_scores():
    scores = metrics.SparseConfusionMatrix(3).class_scores()
    assert scores.support.tolist() == [0, 0, 0]
    assert math.isnan(scores.macro(scores.recalls))
    assert math.isnan(scores.weighted(scores.recalls))
    assert math.isnan(metrics.CalibrationError().result())
    assert all(map(math.isnan, metrics.wilson_interval(math.nan, 0)))


def test_a_million_classes_take_little_memory():
    metric = metrics.SparseConfusionMatrix(1_000_000)  # a dense matrix: 8 TB
    metric.update(tf.constant([999_999, 5, 5]), tf.constant([999_999, 5, 999_998]))
    assert metric.result()[0].tolist() == [[5, 5], [999_998, 5], [999_999, 999_999]]
    assert metric.class_scores().macro(metric.class_scores().recalls) == pytest.approx(2 / 3)


@pytest.mark.parametrize("bins", [1, 15])
def test_calibration_error_equals_numpy(bins):
    confidences = RANDOM.beta(5, 2, 200).astype(np.float32)
    confidences[:3] = 0, 1, np.nan  # the last is padding
    weights = RANDOM.uniform(0, 2, 200) * WEIGHTS
    weights[:3] = 1, 1, 0
    correct = GUESSES == LABELS
    metric = metrics.CalibrationError(bins)
    metric.update(tf.constant([0.5]), tf.constant([True]))
    metric.reset()
    update = tf.function(metric.update, autograph=False)
    for batch in batches(confidences, correct, weights):
        update(*batch)
    edges, confidences = np.linspace(0, 1, bins + 1), np.nan_to_num(confidences.astype(np.float64))
    expected = 0
    for low, high, *rest in zip(edges[:-1], edges[1:], *metric.bins(), strict=True):
        inside = (confidences > low if low else confidences >= 0) & (confidences <= high)
        total = weights[inside].sum()
        if total:
            means = [np.average(each[inside], weights=weights[inside])
                     for each in (confidences, correct)]  # fmt: skip
            expected += total / weights.sum() * abs(means[0] - means[1])
            np.testing.assert_allclose(rest, [total, *means], rtol=1e-9)
        else:
            assert rest[0] == 0
            assert np.isnan(rest[1:]).all()
    assert metric.result() == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("hits, count", [(0, 1), (1, 1), (0, 50), (50, 50), (7, 9), (912, 1000)])
@pytest.mark.parametrize("confidence", [0.95, 0.5])
def test_wilson_interval_equals_scipy(hits, count, confidence):
    expected = scipy.stats.binomtest(hits, count).proportion_ci(confidence, method="wilson")
    actual = metrics.wilson_interval(hits / count, count, confidence)
    np.testing.assert_allclose(actual, tuple(expected), rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("make", [metrics.SparseConfusionMatrix, metrics.CalibrationError])
def test_a_size_below_one_is_an_error(make):
    with pytest.raises(_checks.UserError, match="=0 must be positive"):
        make(0)
