"""Compares the outputs of an export with those of its checkpoint."""

import dataclasses
import functools
from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from classifier import label_kinds
from classifier.config.problems import Problem, named
from classifier.export.samples import Samples
from classifier.inference.model import InferenceModel
from datasets import progress
from slim import _checks

# Maximum difference between a logit of checkpoint and export, relative to the largest logit (or to
# 1 if that is larger).
TOLERANCE = 1e-5
# The same for quantized networks: folding or another kernel changes values slightly, and those near
# a rounding boundary are rounded to another of the 256 levels.
QUANTIZED_TOLERANCE = 0.1
# A network may magnify rounding beyond the tolerance, such as one whose averages of batch norm do
# not match its weights. Differences are also allowed up to this multiple of the change of the
# logits when the pixels change by float32's precision, and at most the second tolerance.
ROUNDING = 10
ROUNDING_TOLERANCE = 1e-2
NUM_RANDOM = 8  # images


@dataclasses.dataclass(frozen=True)
class Trial:
    """Inputs for comparing exports with a checkpoint.

    Attributes:
      spec: shape and dtype of a batch.
      preprocess: function from a batch to preprocessed images.
      random: batches of noise.
      real: batches of the samples.
      copies: how often `real` repeats each sample.
      samples: real images.
      outputs: cached outputs of the checkpoint, by model and end point.
      rounding: likewise the change of these outputs by rounding.
    """

    spec: tf.TensorSpec
    preprocess: Callable[[tf.Tensor], tf.Tensor]
    random: Sequence[tf.Tensor]
    real: Sequence[tf.Tensor]
    samples: Samples
    copies: int = 1
    outputs: dict[tuple[InferenceModel, str | None], np.ndarray] = dataclasses.field(
        default_factory=dict
    )
    rounding: dict[tuple[InferenceModel, str | None], float] = dataclasses.field(
        default_factory=dict
    )


@dataclasses.dataclass(frozen=True)
class Comparison:
    """How the outputs of an export differ from those of its checkpoint.

    Attributes:
      difference: largest absolute difference of a logit.
      scale: largest absolute logit of the checkpoint.
      agreed: number of images with the same class (or classes); None if the output is not classes.
      num_random: number of random images.
      samples: real images.
      accuracies: accuracy of checkpoint and export on the real images; None without labels.
      metric: name of the accuracies: another one with several classes an image.
      answer: what agrees: "class" or "classes".
      rounding: returns the largest change of a logit of the checkpoint by rounding of the images.
    """

    difference: float
    scale: float
    agreed: int | None
    num_random: int
    samples: Samples
    accuracies: tuple[float, float] | None
    metric: str = "accuracy"
    answer: str = "class"
    rounding: Callable[[], float] = lambda: 0.0

    def __str__(self) -> str:
        num_real = len(self.samples.images)
        images = (
            f"{self.num_random + num_real} images ({self.num_random} random, {num_real} of"
            f" {self.samples.name})"
        )
        values, agreement = "values", "for"
        if self.agreed is not None:
            values, agreement = "logits", f"same {self.answer} for {self.agreed} of"
        text = (
            f"largest difference {self.difference:.1e} at {values} up to {self.scale:.3g},"
            f" {agreement} {images}"
        )
        if self.accuracies:
            checkpoint, export = (f"{100 * each:.1f} %" for each in self.accuracies)
            text += f", {self.metric} {export} (checkpoint {checkpoint})"
        return text


@dataclasses.dataclass(frozen=True)
class Exported:
    """A file or directory that was exported.

    Attributes:
      path: its path.
      comparison: comparison with the checkpoint.
      usage: Markdown with sample code; may be empty.
    """

    path: str
    comparison: Comparison
    usage: str = ""


def make_batches(items: np.ndarray | tf.Tensor, batch_size: int | None) -> list[tf.Tensor]:
    """Returns items in batches; with a batch size, the last one is padded with repeated items."""
    count = len(items)
    size = batch_size or NUM_RANDOM
    padded = -(-count // size) * size if batch_size else count
    order = np.arange(padded) % count
    return [tf.gather(items, order[start : start + size]) for start in range(0, padded, size)]


def compare(
    classifier: InferenceModel,
    call: Callable[[tf.Tensor], tf.Tensor],
    trial: Trial,
    end_point: str | None = None,
) -> Comparison:
    """Compares the logits of the checkpoint and of an export.

    Args:
      classifier: model of the checkpoint.
      call: the export as a function from its input to logits.
      trial: inputs.
      end_point: end point to compare instead of the logits.
    """

    key = classifier, end_point
    if key not in trial.outputs:
        trial.outputs[key] = _logits(_checkpoint(classifier, trial, end_point), trial)
    expected, actual = trial.outputs[key], _logits(call, trial)
    num_random = len(expected) - len(trial.samples.images)
    labels, agreed, accuracies = trial.samples.labels, None, None
    kind = label_kinds.kind_of(classifier.info)
    if end_point is None:
        thresholds = label_kinds.logits_at(classifier.thresholds, classifier.temperature)
        answers = [kind.answers(each, thresholds) for each in (expected, actual)]
        same = np.equal(*answers).reshape(len(expected), -1).all(axis=1)
        agreed = int(same.sum())
        if labels is not None:
            accuracies = tuple(kind.score(each[num_random:], labels) for each in answers)
    return Comparison(
        difference=float(np.abs(actual - expected).max()),
        scale=float(np.abs(expected).max()),
        agreed=agreed,
        num_random=num_random,
        samples=trial.samples,
        accuracies=accuracies,
        metric=kind.score_name,
        answer="classes" if classifier.info.multi_label else "class",
        rounding=functools.partial(_rounding, classifier, trial, end_point),
    )


def _checkpoint(
    classifier: InferenceModel, trial: Trial, end_point: str | None, scale: float = 1.0
) -> Callable[[tf.Tensor], tf.Tensor]:
    """Returns the checkpoint as a function of a trial's batches, whose pixels are scaled."""

    def output(batch: tf.Tensor) -> tf.Tensor:
        return classifier.output(end_point, trial.preprocess(batch) * scale)

    return tf.function(output, autograph=False, input_signature=[trial.spec])


def _rounding(classifier: InferenceModel, trial: Trial, end_point: str | None) -> float:
    """Returns the largest change of an output when pixels change by float32's precision."""
    key = classifier, end_point
    if key not in trial.rounding:
        scale = 1.0 + float(np.finfo(np.float32).eps)
        changed = _logits(_checkpoint(classifier, trial, end_point, scale), trial)
        trial.rounding[key] = float(np.abs(changed - trial.outputs[key]).max())
    return trial.rounding[key]


def _logits(call: Callable[[tf.Tensor], tf.Tensor], trial: Trial) -> np.ndarray:
    """Returns the outputs for a trial, one row per image: random images, then samples."""

    def rows_of(batch: tf.Tensor) -> np.ndarray:
        return np.reshape(call(batch), [len(batch), -1])

    batches = [*trial.random, *trial.real]
    rows = []
    with progress.bar(len(batches), "batch", "compare", leave=False) as bar:
        for batch in batches:
            rows.append(rows_of(batch))
            bar.update()
    random, real = rows[: len(trial.random)], np.concatenate(rows[len(trial.random) :])
    samples = real[:: trial.copies][: len(trial.samples.images)]  # other rows are padding
    return np.concatenate([*random, samples])


def check(
    comparison: Comparison,
    classifier: InferenceModel,
    tolerance: float | None = TOLERANCE,
    max_drop: float | None = None,
) -> Comparison:
    """Returns a comparison if the export is accurate enough.

    Args:
      comparison: the comparison.
      classifier: model of the checkpoint.
      tolerance: maximum difference of a logit, relative to the largest logit or to 1, whichever is
        larger; None disables. At least `QUANTIZED_TOLERANCE` for a quantized checkpoint. Where the
        network magnifies rounding beyond it, `ROUNDING` times that, up to `ROUNDING_TOLERANCE`.
      max_drop: maximum loss of accuracy in percentage points; None disables.

    Raises:
      RunError: if the export is not accurate enough.
    """
    if tolerance is not None and classifier.info.quantized:
        tolerance = max(tolerance, QUANTIZED_TOLERANCE)
    # Logits far below 1 come from an untrained network and indicate no class.
    scale = max(1.0, comparison.scale)
    allowed = np.inf if tolerance is None else tolerance * scale
    if allowed < comparison.difference <= ROUNDING_TOLERANCE * scale:
        allowed = max(allowed, min(ROUNDING * comparison.rounding(), ROUNDING_TOLERANCE * scale))
    if not (np.isfinite(comparison.difference) and comparison.difference <= allowed):
        raise _checks.RunError(
            f"the export differs from {classifier.prefix} by {comparison.difference:.1e} at logits"
            f" up to {comparison.scale:.3g}; at most {allowed:.1e} is allowed, so it was not kept"
        )
    if max_drop is not None and comparison.accuracies is not None:
        checkpoint, export = (100 * each for each in comparison.accuracies)
        if checkpoint - export > max_drop + 1e-9:
            raise _checks.RunError(
                Problem(
                    "the export has {} {} of {:.1f} % on {} images of {}, {} {:.1f} %. The drop"
                    " exceeds {}, so it was not kept",
                    "an" if comparison.metric == "accuracy" else "a",
                    comparison.metric,
                    export,
                    len(comparison.samples.images),
                    comparison.samples.name,
                    classifier.prefix,
                    checkpoint,
                    named("max_drop", max_drop),
                )
            )
    return comparison
