"""Stores what an evaluation fits to a model's probabilities, and evaluates with it."""

import numpy as np

from classifier.checkpoints.sources import OpenedCheckpoint
from classifier.inference import calibration
from classifier.inference.calibration import TemperatureFit
from classifier.inference.one_class import OneClassEvaluation
from classifier.inference.outcomes import Outcomes
from classifier.inference.results import Result
from classifier.inference.several_classes import SeveralClassesEvaluation, SeveralClassesMetrics
from classifier.inference.split_evaluation import SplitEvaluation
from classifier.model_info import Calibration
from slim import _checks


def run(
    fit: TemperatureFit, on_split: SplitEvaluation, checkpoint: OpenedCheckpoint, before: Result
) -> Result:
    """Calibrates a model that was just evaluated; returns the metrics after it.

    Args:
      fit: was updated in the evaluation.
      on_split: the model and the split.
      checkpoint: its checkpoint.
      before: metrics of the evaluation.

    Raises:
      RunError: if there is one class an image and no temperature fits.
    """
    calibrate = _labels if on_split.classifier.info.multi_label else _classes
    result = calibrate(fit, on_split, checkpoint, before)
    print(f"stored in {checkpoint.run.model_info_path}", flush=True)
    return result


def _classes(
    fit: TemperatureFit, on_split: SplitEvaluation, checkpoint: OpenedCheckpoint, before: Result
) -> Result:
    """Fits a temperature and its rejection threshold."""
    classifier = on_split.classifier
    temperature = classifier.temperature = fit.result()
    result, outcomes = on_split.evaluate(), on_split.evaluator.details().outcomes
    assert isinstance(before, OneClassEvaluation), "of one class an image"
    assert isinstance(result, OneClassEvaluation), "like the one before"
    assert isinstance(outcomes, Outcomes), "kept for this"
    threshold = calibration.rejection_threshold(outcomes)
    calibration.store(checkpoint, Calibration(temperature, threshold, classifier.step))
    rejected = int((outcomes.confidences < threshold).sum())
    print(
        f"temperature {temperature:.4f}: loss {before.loss:.4f} to {result.loss:.4f}, calibration"
        f" error {before.calibration_error:.4f} to {result.calibration_error:.4f}"
    )
    print(
        f"rejection threshold {threshold:.4f}: rejects {rejected} of {result.num_images} images,"
        f" {int((outcomes.is_correct & (outcomes.confidences < threshold)).sum())} of them correct"
    )
    return result


def _labels(
    fit: TemperatureFit, on_split: SplitEvaluation, checkpoint: OpenedCheckpoint, before: Result
) -> Result:
    """Fits a temperature and the thresholds of the classes.

    A temperature does not change the order of the probabilities. If none fits, thresholds do.
    """
    classifier, metrics = on_split.classifier, on_split.evaluator.metrics
    assert isinstance(metrics, SeveralClassesMetrics), "of several classes an image"
    try:
        temperature = fit.result()
    except _checks.RunError as error:
        print(f"warning: {error}. The thresholds are fitted without one", flush=True)
        temperature = 1.0
    # From logits: of large ones, the probabilities are equal.
    thresholds = 1 / (1 + np.exp(-metrics.best_thresholds() / temperature))
    classifier.temperature, classifier.thresholds = temperature, thresholds
    result = on_split.evaluate()
    assert isinstance(before, SeveralClassesEvaluation), "like the metrics"
    assert isinstance(result, SeveralClassesEvaluation), "like the metrics"
    fitted = Calibration(temperature, 0.0, classifier.step, tuple(thresholds.tolist()))
    calibration.store(checkpoint, fitted)
    print(f"temperature {temperature:.4f}: loss {before.loss:.4f} to {result.loss:.4f}")
    print(
        f"thresholds of the classes {thresholds.min():.4f} to {thresholds.max():.4f}: micro F1"
        f" {before.micro_f1:.4f} to {result.micro_f1:.4f}, macro F1 {before.macro_f1:.4f} to"
        f" {result.macro_f1:.4f}"
    )
    return result
