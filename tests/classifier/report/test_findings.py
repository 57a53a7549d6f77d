"""Images that a report points at."""

import numpy as np
import pytest

from classifier.report import confusion, findings, scores
from tests.classifier.report import evaluations


def test_mistakes_and_hits_are_ranked_by_confidence():
    outcomes = evaluations.random(200, 5)
    mistakes = findings.confident_mistakes(outcomes, 12)
    hits = findings.doubtful_hits(outcomes, 12)
    wrong = outcomes.predicted != outcomes.labels
    assert wrong[mistakes].all()
    assert not wrong[hits].any()
    np.testing.assert_array_equal(
        outcomes.confidences[mistakes], np.sort(outcomes.confidences[wrong])[::-1][:12]
    )
    np.testing.assert_array_equal(
        outcomes.confidences[hits], np.sort(outcomes.confidences[~wrong])[:12]
    )


def test_exchanged_labels_are_found():
    rng = np.random.default_rng(3)
    truth = rng.integers(4, size=400)
    odds = np.exp(rng.normal(size=(400, 4)) + 6 * np.eye(4)[truth])
    labels = truth.copy()
    exchanged = rng.choice(400, 20, replace=False)
    labels[exchanged] = (truth[exchanged] + 1) % 4
    outcomes = evaluations.outcomes(labels, odds / odds.sum(axis=1, keepdims=True))
    likely = findings.label_errors(outcomes, 4)
    assert set(exchanged) >= set(likely[:15])
    margins = outcomes.confidences[likely] - outcomes.label_probabilities[likely]
    assert (np.diff(margins) <= 0).all()


def test_a_class_without_images_has_no_label_errors():
    outcomes = evaluations.outcomes([0, 0, 1], [[0.1, 0.2, 0.7], [0.9, 0.1, 0], [0.1, 0.9, 0]])
    assert findings.label_errors(outcomes, 3).tolist() == []


def test_near_duplicates_are_the_nearest_by_angle(monkeypatch):
    monkeypatch.setattr(findings, "_BLOCK", 7)  # of 50 and 300 images
    rng = np.random.default_rng(0)
    features = rng.normal(size=(50, 8)).astype(np.float32)
    others = rng.normal(size=(300, 8)).astype(np.float32) + 5
    others[[20, 250]] = features[[4, 30]] + 0.01
    result = findings.near_duplicates(features, others, min_similarity=0.5)
    ours, theirs = features - others.mean(0), others - others.mean(0)
    cosines = ours @ theirs.T / np.linalg.norm(ours, axis=1)[:, None]
    cosines /= np.linalg.norm(theirs, axis=1)
    expected = np.flatnonzero(cosines.max(axis=1) >= 0.5)
    assert set(result.images) == set(expected)
    np.testing.assert_array_equal(result.others, cosines.argmax(axis=1)[result.images])
    np.testing.assert_allclose(result.similarities, cosines.max(axis=1)[result.images], rtol=1e-4)
    assert set(result.images[:2]) == {4, 30}


@pytest.mark.parametrize("ours, theirs", [(0, 5), (5, 0)])
def test_an_empty_split_has_no_duplicates(ours, theirs):
    result = findings.near_duplicates(np.ones([ours, 3]), np.ones([theirs, 3]))
    assert len(result.images) == 0


def test_all_classes_of_a_small_problem_are_in_the_matrix():
    outcomes = evaluations.random(300, 6)
    pairs = scores.confusion_matrix(outcomes, 6).confusions()
    result = confusion.confusion(outcomes, 6, pairs)
    expected = np.zeros([6, 6], int)
    np.add.at(expected, (outcomes.labels, outcomes.predicted), 1)
    np.testing.assert_array_equal(result.counts, expected)
    orders = result.orders()
    errors = expected.sum(0) + expected.sum(1) - 2 * expected.diagonal()
    assert orders["class"] == list(range(6))
    assert (np.diff(errors[orders["errors"]]) <= 0).all()
    assert (np.diff(expected.sum(1)[orders["frequency"]]) <= 0).all()


def test_the_most_confused_of_many_classes_are_in_the_matrix():
    outcomes = evaluations.random(3000, 300, signal=4)
    pairs = scores.confusion_matrix(outcomes, 300).confusions()
    result = confusion.confusion(outcomes, 300, pairs)
    number = len(result.classes)
    assert number == confusion.MAX_CONFUSED
    assert result.counts.shape == (number + 1, number + 1)
    assert result.counts.sum() == 3000
    (label, prediction, count), *_ = pairs
    row, column = np.searchsorted(result.classes, [label, prediction])
    assert result.counts[row, column] == count
    assert count == ((outcomes.labels == label) & (outcomes.predicted == prediction)).sum()
    assert len(result.orders()["errors"]) == number  # the other classes stay last
