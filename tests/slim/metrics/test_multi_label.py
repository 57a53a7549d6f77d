"""Metrics of several classes an example equal scikit-learn's."""

import numpy as np
import pytest
from sklearn import metrics as sklearn

from slim import metrics

RANDOM = np.random.default_rng(4)
LABELS = RANDOM.random([300, 6]) < [0.5, 0.3, 0.1, 0.02, 0.9, 0.5]
SCORES = (LABELS + RANDOM.normal(0, 1, LABELS.shape)).astype(np.float32)


@pytest.mark.parametrize("digits", [8, 1, 0])  # with ties
def test_average_precisions_equal_scikit_learn(digits):
    scores = SCORES.round(digits)
    ours = metrics.average_precisions(LABELS, scores)
    expected = sklearn.average_precision_score(LABELS, scores, average=None)
    np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-15)


def test_a_class_without_examples_has_no_average_precision():
    labels = LABELS & [True, False, True, True, True, True]
    ours = metrics.average_precisions(labels, SCORES)
    assert np.isnan(ours).tolist() == [False, True, False, False, False, False]
    assert np.isnan(metrics.average_precisions(labels[:0], SCORES[:0])).all()


def test_the_threshold_of_a_class_has_its_highest_f1_score():
    scores = SCORES.round(1)
    thresholds = metrics.best_thresholds(LABELS, scores, default=0.5)
    for label, score, threshold in zip(LABELS.T, scores.T, thresholds, strict=True):
        every = [sklearn.f1_score(label, score >= each) for each in np.unique(score)]
        assert sklearn.f1_score(label, score >= threshold) == max(every)
        assert np.abs(score - threshold).min() > 0.04  # between two scores
    assert metrics.best_thresholds(LABELS[:0], scores[:0], default=0.5).tolist() == [0.5] * 6
    assert metrics.best_thresholds(np.ones([1, 1], bool), np.ones([1, 1]), 0.5).tolist() == [0]


def test_scores_equal_scikit_learn():
    predicted = SCORES > 0.8
    scores = metrics.LabelScores(
        LABELS.sum(0), predicted.sum(0), (LABELS & predicted).sum(0),
        metrics.average_precisions(LABELS, SCORES), np.full(6, 0.8),
    )  # fmt: skip
    expected = sklearn.precision_recall_fscore_support(LABELS, predicted, average="micro")[:3]
    ours = scores.micro_precision, scores.micro_recall, scores.micro_f1
    assert ours == pytest.approx(expected, abs=1e-12)
    macro = sklearn.f1_score(LABELS, predicted, average="macro")
    assert scores.macro(scores.f1_scores) == pytest.approx(macro, abs=1e-12)
    names = ["precision", "recall", "f1", "average_precision", "threshold"]
    assert list(scores.columns()) == names
    none = metrics.LabelScores(*np.zeros([3, 6], np.int64), scores.average_precisions, scores.hits)
    assert np.isnan([none.micro_precision, none.micro_recall, none.micro_f1]).all()
