"""Metrics of a model on a split with one class an image; each image counts once."""

import dataclasses
import math
from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf

from classifier import headlines, label_kinds
from classifier.inference import results
from classifier.inference.model import InferenceModel
from classifier.inference.outcomes import Outcomes
from classifier.inference.results import Details, Result
from slim import metrics


@dataclasses.dataclass(frozen=True)
class OneClassEvaluation(Result):
    """The metrics of an evaluation with one class an image.

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

    headline = headlines.ONE_CLASS

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

    def lines(self, split_name: str, num_images: int) -> Sequence[str]:
        """Returns the accuracy first."""
        return (
            f"{split_name} accuracy {self.accuracy:.3f} ({self.num_images} of {num_images} images)",
            f"{split_name} recall_{self.k} {self.recall_at_k:.4f}",
            f"{split_name} macro recall {self.macro_recall:.4f}",
            f"{split_name} loss {self.loss:.4f}",
        )

    def detail_lines(self, split_name: str) -> Sequence[str]:
        """Returns the others, with the accuracy's confidence interval."""
        low, high = self.accuracy_interval
        interval = f"{split_name} accuracy, 95 % confidence interval {low:.3f} to {high:.3f}"
        return (
            *([] if math.isnan(low) else [interval]),
            f"{split_name} macro precision {self.macro_precision:.4f}, F1 {self.macro_f1:.4f}",
            (
                f"{split_name} weighted precision {self.weighted_precision:.4f},"
                f" F1 {self.weighted_f1:.4f}"
            ),
            f"{split_name} calibration error {self.calibration_error:.4f}",
        )

    def tf_slim_lines(self) -> Sequence[str]:
        """Returns TF-Slim's two lines.

        With fewer than 5 classes, the recall at 5 is 1, as the recall at k is.
        """
        return f"eval/Accuracy[{self.accuracy:.9g}]", f"eval/Recall_5[{self.recall_at_k:.9g}]"

    def row(self) -> Mapping[str, float]:
        """Returns the columns of a table."""
        return {
            "accuracy": self.accuracy,
            f"recall_{self.k}": self.recall_at_k,
            "macro recall": self.macro_recall,
            "loss": self.loss,
            "calibration error": self.calibration_error,
        }

    def raw_values(self) -> Mapping[str, float]:
        """Returns accuracy and loss."""
        return {"raw_accuracy": self.accuracy, "raw_loss": self.loss}

    def intervals(self) -> Mapping[str, tuple[float, float]]:
        """Returns the accuracy's."""
        return {"accuracy_interval": self.accuracy_interval}


class OneClassMetrics:
    """The metrics of one class an image.

    Args:
      classifier: the model.
      keep_outcomes: whether to keep the answer to each image.
    """

    def __init__(self, classifier: InferenceModel, keep_outcomes: bool) -> None:
        self._classifier, self._keep_outcomes = classifier, keep_outcomes
        classes = classifier.info.num_classes
        self._accuracy, self._loss = metrics.Accuracy(), metrics.Mean()
        self._recall = metrics.RecallAtK(min(5, classes))
        self._confusion = metrics.SparseConfusionMatrix(classes)
        self._calibration = metrics.CalibrationError()
        self._answers: list[Mapping[str, np.ndarray]] = []

    def reset(self) -> None:
        """Forgets all batches."""
        every = (self._accuracy, self._loss, self._recall, self._confusion, self._calibration)
        for metric in every:
            metric.reset()
        self._answers = []

    def update(
        self, logits: tf.Tensor, probabilities: tf.Tensor, batch: Mapping[str, tf.Tensor]
    ) -> dict[str, tf.Tensor]:
        """Adds a batch; returns the answers if they are kept."""
        temperature = self._classifier.temperature
        labels, mask = batch["label"], batch["mask"]
        predicted = tf.argmax(logits, axis=-1)
        self._accuracy.update(predicted, labels, mask)
        self._recall.update(logits, labels, mask)
        scaled = logits if temperature is None else logits / temperature
        self._loss.update(label_kinds.ONE_CLASS.losses(scaled, labels), mask)
        self._confusion.update(predicted, labels, mask)
        self._calibration.update(
            tf.reduce_max(probabilities, axis=-1), tf.equal(predicted, labels), mask
        )
        if not self._keep_outcomes:
            return {}
        _, classes = tf.math.top_k(logits, self._recall.k)
        return {
            "labels": labels,
            "classes": tf.cast(classes, tf.int64),
            "probabilities": tf.gather(probabilities, classes, batch_dims=1),
            "label_probabilities": tf.gather(probabilities, labels, batch_dims=1),
            **results.place_of(batch),
        }

    def keep(self, rows: Mapping[str, np.ndarray]) -> None:
        """Keeps the answers to a batch."""
        self._answers.append(rows)

    def result(self) -> OneClassEvaluation:
        """Returns the metrics."""
        scores = self._confusion.class_scores()
        precisions, recalls, f1_scores = scores.precisions, scores.recalls, scores.f1_scores
        return OneClassEvaluation(
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
        """Returns the scores, the confusions and, if kept, the answers."""
        outcomes = None
        if self._keep_outcomes:
            outcomes = Outcomes(**results.joined(self._answers, self._empty_answers()))
        return Details(self._confusion.class_scores(), self._confusion.confusions(), outcomes)

    def _empty_answers(self) -> dict[str, np.ndarray]:
        """Returns the answers to no image."""
        one, k = np.zeros([0], np.int64), self._recall.k
        float_, names = np.zeros([0], np.float32), np.zeros([0], object)
        return {
            "labels": one, "classes": np.zeros([0, k], np.int64),
            "probabilities": np.zeros([0, k], np.float32), "label_probabilities": float_,
            "shards": one, "records": one, "filenames": names,
        }  # fmt: skip
