import math

import pytest

from classifier.inference import metrics
from classifier.inference.one_class import OneClassEvaluation

EVALUATION = OneClassEvaluation(
    accuracy=0.93, recall_at_k=0.99, k=5, macro_recall=0.9, loss=0.2, num_images=100,
    macro_precision=0.91, macro_f1=0.905, weighted_precision=0.94, weighted_f1=0.92,
    calibration_error=0.03,
)  # fmt: skip


def test_results_are_printed_as_scripts_of_tf_slim_expect(capsys):
    metrics.report_as_tf_slim(EVALUATION)
    assert capsys.readouterr().out == "eval/Accuracy[0.93]\neval/Recall_5[0.99]\n"


def test_the_images_are_counted_of_the_complete_split(capsys):
    metrics.report(EVALUATION, "test", 350)
    assert "test accuracy 0.930 (100 of 350 images)" in capsys.readouterr().out


def test_the_accuracy_has_a_confidence_interval(capsys):
    metrics.report_details(EVALUATION, "test")
    assert EVALUATION.accuracy_interval == pytest.approx((0.8625, 0.9657), abs=1e-4)
    assert "accuracy, 95 % confidence interval 0.863 to 0.966" in capsys.readouterr().out


def test_without_images_there_is_no_interval(capsys):
    none = OneClassEvaluation(*[math.nan] * 5, 0, *[math.nan] * 5)
    metrics.report_details(none, "test")
    assert "interval" not in capsys.readouterr().out
