"""What an export has to pass before it is kept: the checkpoint's answers to the same images."""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from classifier.export.samples import Samples
from classifier.inference.model import InferenceModel
from slim import _checks

# Largest difference of a logit between checkpoint and export, as a share of the largest logit, or
# of 1 if that is more.
TOLERANCE = 1e-5
# The same where layers round their outputs: what lies between two of the 256 values by a hair falls
# to either, and folding or another kernel moves it by less than a hair.
ROUNDED_TOLERANCE = 0.1
RANDOM_IMAGES = 8


@dataclasses.dataclass(frozen=True)
class Trial:
    """What an export is given.

    Attributes:
      spec: of a batch.
      prepare: from a batch to preprocessed images.
      random: batches of noise.
      real: batches with the samples.
      rows: of the answers to `real`, one for each sample; the others only fill batches up.
      samples: the real images.
      answers: the checkpoint's, once they are known, by checkpoint and end point.
    """

    spec: tf.TensorSpec
    prepare: Callable[[tf.Tensor], tf.Tensor]
    random: Sequence[tf.Tensor]
    real: Sequence[tf.Tensor]
    rows: np.ndarray
    samples: Samples
    answers: dict[tuple[InferenceModel, str | None], np.ndarray] = dataclasses.field(
        default_factory=dict
    )


@dataclasses.dataclass(frozen=True)
class Comparison:
    """How the answers of an export and of its checkpoint differ.

    Attributes:
      difference: largest difference of a logit.
      scale: largest logit of the checkpoint.
      agreed: images for which both have the same class on top; None of what is no classes.
      num_random: random images.
      samples: the real images.
      accuracies: share of the real images that the checkpoint and the export get right; None if
        that is not known.
    """

    difference: float
    scale: float
    agreed: int | None
    num_random: int
    samples: Samples
    accuracies: tuple[float, float] | None

    def __str__(self) -> str:
        num_real = len(self.samples.pictures)
        images = (
            f"{self.num_random + num_real} images ({self.num_random} random, {num_real} of"
            f" {self.samples.name})"
        )
        what, told = "values", "for"
        if self.agreed is not None:
            what, told = "logits", f"same class for {self.agreed} of"
        text = (
            f"largest difference {self.difference:.1e} at {what} up to {self.scale:.3g}, {told}"
            f" {images}"
        )
        if self.accuracies:
            checkpoint, export = (f"{100 * each:.1f} %" for each in self.accuracies)
            text += f", accuracy {export} (checkpoint {checkpoint})"
        return text


@dataclasses.dataclass(frozen=True)
class Exported:
    """One file or folder that was written.

    Attributes:
      path: where it stands.
      comparison: with the checkpoint.
      usage: how it is called, as Markdown; empty if that is not said.
    """

    path: str
    comparison: Comparison
    usage: str = ""


def batches_of(
    items: np.ndarray | tf.Tensor, batch_size: int | None
) -> tuple[list[tf.Tensor], np.ndarray]:
    """Returns items in batches, and the row of each in their concatenation; the last batch is
    filled up if a size is given."""
    count = len(items)
    size = batch_size or RANDOM_IMAGES
    padded = -(-count // size) * size if batch_size else count
    order = np.arange(padded) % count
    batches = [tf.gather(items, order[start : start + size]) for start in range(0, padded, size)]
    return batches, np.arange(count)


def compare(
    classifier: InferenceModel,
    call: Callable[[tf.Tensor], tf.Tensor],
    trial: Trial,
    end_point: str | None = None,
) -> Comparison:
    """Compares the logits of the checkpoint and of an export.

    Args:
      classifier: the checkpoint.
      call: the export, from what it takes to logits.
      trial: what it is given.
      end_point: what is compared in place of the logits.
    """

    def answer(given: tf.Tensor) -> tf.Tensor:
        return classifier.output(end_point, trial.prepare(given))

    asked = classifier, end_point
    if asked not in trial.answers:
        checkpoint = tf.function(answer, autograph=False, input_signature=[trial.spec])
        trial.answers[asked] = _logits(checkpoint, trial)
    wanted, found = trial.answers[asked], _logits(call, trial)
    num_random = len(wanted) - len(trial.rows)
    best = wanted.argmax(axis=1), found.argmax(axis=1)
    labels = trial.samples.labels
    accuracies = None
    if labels is not None and end_point is None:
        accuracies = tuple(float(np.mean(each[num_random:] == labels)) for each in best)
    return Comparison(
        difference=float(np.abs(found - wanted).max()),
        scale=float(np.abs(wanted).max()),
        agreed=int(np.sum(best[0] == best[1])) if end_point is None else None,
        num_random=num_random,
        samples=trial.samples,
        accuracies=accuracies,
    )


def _logits(call: Callable[[tf.Tensor], tf.Tensor], trial: Trial) -> np.ndarray:
    """Returns the answers to a trial, a row for each image: random ones, then the samples."""

    def row_each(batch: tf.Tensor) -> np.ndarray:
        return np.reshape(call(batch), [len(batch), -1])

    random = [row_each(batch) for batch in trial.random]
    real = np.concatenate([row_each(batch) for batch in trial.real])
    return np.concatenate([*random, real[trial.rows]])


def check(
    found: Comparison,
    classifier: InferenceModel,
    tolerance: float | None = TOLERANCE,
    max_drop: float | None = None,
) -> Comparison:
    """Returns a comparison that is good enough.

    Args:
      found: the comparison.
      classifier: the checkpoint.
      tolerance: largest difference of a logit, as a share of the largest one, or of 1 if that is
        more; None for any. Of a quantized checkpoint it is `ROUNDED_TOLERANCE` at least.
      max_drop: most that the accuracy may fall, in percentage points; None for any.

    Raises:
      RunError: if it is not.
    """
    if tolerance is not None and classifier.info.quantized:
        tolerance = max(tolerance, ROUNDED_TOLERANCE)
    # Logits far below 1 are a new network's, and no class is any surer for them.
    allowed = np.inf if tolerance is None else tolerance * max(1.0, found.scale)
    if not (np.isfinite(found.difference) and found.difference <= allowed):
        raise _checks.RunError(
            f"the export differs from {classifier.prefix} by {found.difference:.1e} at logits up to"
            f" {found.scale:.3g}; at most {allowed:.1e} is allowed, so it was not kept"
        )
    if max_drop is not None and found.accuracies is not None:
        checkpoint, export = (100 * each for each in found.accuracies)
        if checkpoint - export > max_drop + 1e-9:
            raise _checks.RunError(
                f"the export gets {export:.1f} % of {len(found.samples.pictures)} images of"
                f" {found.samples.name} right and {classifier.prefix} {checkpoint:.1f} %: it may"
                f" lose max_drop={max_drop:g} points, so it was not kept"
            )
    return found
