"""Metrics of a model on a split; each image counts once."""

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
import tensorflow as tf

from classifier.inference.model import InferenceModel
from classifier.inference.outcomes import Outcomes
from slim import _checks, metrics
from slim.metrics import ClassScores

Call = Callable[[tf.Tensor], dict[str, tf.Tensor]]


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """The metrics of an evaluation.

    Precision, recall and F1 score are means over the classes that have images; the weighted recall
    is the accuracy.

    Attributes:
      accuracy: fraction of the images whose class has the highest score.
      recall_at_k: fraction of the images whose class is among the k highest scores.
      k: 5, or the number of classes if that is smaller.
      macro_recall: mean recall of the classes.
      loss: mean cross entropy.
      num_images: number of images.
      macro_precision: mean precision of the classes.
      macro_f1: mean F1 score of the classes.
      weighted_precision: mean precision, weighted by the classes' numbers of images.
      weighted_f1: mean F1 score, likewise.
      calibration_error: expected calibration error, in 15 bins.
    """

    accuracy: float
    recall_at_k: float
    k: int
    macro_recall: float
    loss: float
    num_images: int
    macro_precision: float
    macro_f1: float
    weighted_precision: float
    weighted_f1: float
    calibration_error: float

    @property
    def accuracy_interval(self) -> tuple[float, float]:
        """The accuracy's confidence interval of 95 % (Wilson)."""
        return metrics.wilson_interval(self.accuracy, self.num_images)


@dataclasses.dataclass(frozen=True)
class Details:
    """What an evaluation saw of the classes and the images.

    Attributes:
      scores: of each class.
      confusions: true class, predicted class and number of images for each pair of different
        classes, the most frequent first.
      outcomes: the answer to each image; None if they were not kept.
    """

    scores: ClassScores
    confusions: Sequence[tuple[int, int, int]]
    outcomes: Outcomes | None


class LogitsMetric(Protocol):
    """A further metric of an evaluation."""

    def update(self, logits: tf.Tensor, labels: tf.Tensor, weights: tf.Tensor) -> None:
        """Adds a batch."""


class Evaluator:
    """Evaluates a model; traced once, also if the model's weights change.

    Args:
      classifier: the model.
      call: function of images to use in place of the model, such as the mean of several views.
      keep_outcomes: whether to keep the answer to each image.
      further: metrics to update as well.
    """

    def __init__(
        self,
        classifier: InferenceModel,
        call: Call | None = None,
        *,
        keep_outcomes: bool = False,
        further: Sequence[LogitsMetric] = (),
    ) -> None:
        self._classifier = classifier
        self._call = call or classifier
        self._keep_outcomes = keep_outcomes
        self._further = further
        classes = classifier.info.num_classes
        self._accuracy, self._loss = metrics.Accuracy(), metrics.Mean()
        self._recall = metrics.RecallAtK(min(5, classes))
        self._confusion = metrics.SparseConfusionMatrix(classes)
        self._calibration = metrics.CalibrationError()
        self._answers: list[dict[str, np.ndarray]] = []
        # By the temperature, which is a constant of the traced function.
        self._steps: dict[float | None, Callable[..., tuple[tf.Tensor, dict[str, tf.Tensor]]]] = {}

    def __call__(self, batches: tf.data.Dataset, num_batches: int) -> Evaluation:
        """Returns the metrics over some batches.

        Args:
          batches: from `inputs.evaluation_dataset`.
          num_batches: number of batches.

        Raises:
          RunError: if a logit is not finite; argmax would return a class regardless.
        """
        self._reset()
        step = self._steps.setdefault(
            self._classifier.temperature, tf.function(self._count, autograph=False)
        )
        for number, batch in enumerate(batches.take(num_batches)):
            is_finite, answers = step(batch)
            if not is_finite:
                raise _checks.RunError(
                    f"the logits of batch {number} are not finite: the run of"
                    f" {self._classifier.prefix} diverged, or the images are not in the range that"
                    " the network expects"
                )
            self._keep(answers)
        scores = self._confusion.class_scores()
        precisions, recalls, f1_scores = scores.precisions, scores.recalls, scores.f1_scores
        return Evaluation(
            accuracy=self._accuracy.result(),
            recall_at_k=self._recall.result(),
            k=self._recall.k,
            macro_recall=scores.macro(recalls),
            loss=self._loss.result(),
            num_images=round(self._accuracy.count),
            macro_precision=scores.macro(precisions),
            macro_f1=scores.macro(f1_scores),
            weighted_precision=scores.weighted(precisions),
            weighted_f1=scores.weighted(f1_scores),
            calibration_error=self._calibration.result(),
        )

    def details(self) -> Details:
        """Returns the details of the last evaluation."""
        outcomes = self._outcomes() if self._keep_outcomes else None
        return Details(self._confusion.class_scores(), self._confusion.confusions(), outcomes)

    def _outcomes(self) -> Outcomes:
        names = ("labels", "classes", "probabilities", "label_probabilities", "shards", "records")
        joined = {name: np.concatenate([each[name] for each in self._answers]) for name in names}
        filenames = [name for each in self._answers for name in each["filenames"]]
        decoded = [name.decode(errors="surrogateescape") for name in filenames]
        return Outcomes(**joined, filenames=decoded)

    def _reset(self) -> None:
        every = (self._accuracy, self._loss, self._recall, self._confusion, self._calibration)
        for metric in every:
            metric.reset()
        self._answers = [self._empty_answers()] if self._keep_outcomes else []

    def _count(self, batch: dict[str, tf.Tensor]) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        """Adds a batch; returns whether its logits are finite, and the answers if kept."""
        outputs, temperature = self._call(batch["image"]), self._classifier.temperature
        logits = tf.cast(outputs["logits"], tf.float32)
        probabilities = tf.cast(outputs["probabilities"], tf.float32)
        labels, mask = batch["label"], batch["mask"]
        predicted = tf.argmax(logits, axis=-1)
        self._accuracy.update(predicted, labels, mask)
        self._recall.update(logits, labels, mask)
        scaled = logits if temperature is None else logits / temperature
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, scaled)
        self._loss.update(losses, mask)
        self._confusion.update(predicted, labels, mask)
        self._calibration.update(
            tf.reduce_max(probabilities, axis=-1), tf.equal(predicted, labels), mask
        )
        for metric in self._further:
            metric.update(logits, labels, mask)
        is_finite = tf.reduce_all(tf.math.is_finite(tf.boolean_mask(logits, mask)))
        if not self._keep_outcomes:
            return is_finite, {}
        _, classes = tf.math.top_k(logits, self._recall.k)
        answers = {
            "mask": mask,
            "labels": labels,
            "classes": tf.cast(classes, tf.int64),
            "probabilities": tf.gather(probabilities, classes, batch_dims=1),
            "label_probabilities": tf.gather(probabilities, labels, batch_dims=1),
            "shards": batch["shard"],
            "records": batch["record"],
            "filenames": batch.get("filename", tf.fill(tf.shape(labels), "")),
        }
        return is_finite, answers

    def _empty_answers(self) -> dict[str, np.ndarray]:
        """Returns the answers to no image."""
        one, k = np.zeros([0], np.int64), self._recall.k
        float_, names = np.zeros([0], np.float32), np.zeros([0], object)
        return {
            "labels": one, "classes": np.zeros([0, k], np.int64),
            "probabilities": np.zeros([0, k], np.float32), "label_probabilities": float_,
            "shards": one, "records": one, "filenames": names,
        }  # fmt: skip

    def _keep(self, answers: dict[str, tf.Tensor]) -> None:
        if answers:
            values = {name: value.numpy() for name, value in answers.items()}
            mask = values.pop("mask")
            self._answers.append({name: value[mask] for name, value in values.items()})


def report(result: Evaluation, split_name: str, num_images: int) -> None:
    """Prints the metrics, accuracy first.

    Args:
      result: the metrics.
      split_name: name of the split.
      num_images: number of images in the split.
    """
    counted = f"({result.num_images} of {num_images} images)"
    print(f"{split_name} accuracy {result.accuracy:.3f} {counted}")
    print(f"{split_name} recall_{result.k} {result.recall_at_k:.4f}")
    print(f"{split_name} macro recall {result.macro_recall:.4f}")
    print(f"{split_name} loss {result.loss:.4f}", flush=True)


def report_details(result: Evaluation, split_name: str) -> None:
    """Prints the metrics that `report` does not."""
    low, high = result.accuracy_interval
    if not math.isnan(low):
        print(f"{split_name} accuracy, 95 % confidence interval {low:.3f} to {high:.3f}")
    print(f"{split_name} macro precision {result.macro_precision:.4f}, F1 {result.macro_f1:.4f}")
    print(
        f"{split_name} weighted precision {result.weighted_precision:.4f},"
        f" F1 {result.weighted_f1:.4f}"
    )
    print(f"{split_name} calibration error {result.calibration_error:.4f}", flush=True)


def report_as_tf_slim(result: Evaluation) -> None:
    """Prints the two lines of TF-Slim's script, which programs parse.

    With fewer than 5 classes, the recall at 5 is 1, as the recall at k is.
    """
    print(f"eval/Accuracy[{result.accuracy:.9g}]")
    print(f"eval/Recall_5[{result.recall_at_k:.9g}]", flush=True)
