"""Scores against scikit-learn and NumPy."""

import numpy as np
import pytest
from sklearn import metrics

from classifier.report import scores
from tests.classifier.report import evaluations


@pytest.mark.parametrize("num_classes, num_images", [(2, 30), (7, 300), (40, 60)])
def test_scores_of_classes_equal_those_of_scikit_learn(num_classes, num_images):
    outcomes = evaluations.random(num_images, num_classes, seed=num_images)
    result = scores.confusion_matrix(outcomes, num_classes).class_scores()
    precision, recall, f1, support = metrics.precision_recall_fscore_support(
        outcomes.labels,
        outcomes.predicted,
        labels=range(num_classes),
        zero_division=np.nan,
    )
    np.testing.assert_allclose(result.precisions, precision)
    np.testing.assert_allclose(result.recalls, recall)
    np.testing.assert_array_equal(result.support, support)
    np.testing.assert_allclose(result.f1_scores, f1)
    assert result.macro(result.recalls) == pytest.approx(
        metrics.recall_score(
            outcomes.labels, outcomes.predicted, average="macro", labels=np.unique(outcomes.labels)
        )
    )


def test_calibration_is_the_mean_distance_over_bins():
    outcomes = evaluations.random(500, 6)
    result = scores.calibration(outcomes)
    expected = 0.0
    for each in range(scores.NUM_BINS):
        low, high = each / scores.NUM_BINS, (each + 1) / scores.NUM_BINS
        confidences = outcomes.confidences.astype(np.float64)
        inside = (confidences > low) & (confidences <= high)
        assert result.counts[each] == inside.sum()
        if inside.any():
            accuracy = outcomes.is_correct[inside].mean()
            assert result.accuracy[each] == pytest.approx(accuracy)
            expected += inside.sum() * abs(accuracy - confidences[inside].mean())
    assert result.error == pytest.approx(expected / 500)
