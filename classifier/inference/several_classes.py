"""Metrics of a model on a split with any number of classes an image; each image counts once."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf

from classifier import headlines, label_kinds
from classifier.inference import results
from classifier.inference.model import InferenceModel
from classifier.inference.outcomes import LabelOutcomes
from classifier.inference.results import Details, Result
from slim import metrics


@dataclasses.dataclass(frozen=True)
class SeveralClassesEvaluation(Result):
    """The metrics of an evaluation with any number of classes an image.

    Macro values are means over the classes that have images, micro values are those of all classes
    of all images together. All but the mean average precision depend on the thresholds.

    Attributes:
      mean_average_precision: mean of the classes' average precisions.
      micro_f1: F1 score, micro.
      macro_f1: F1 score, macro.
      micro_precision: precision, micro.
      micro_recall: recall, micro.
      macro_precision: precision, macro.
      macro_recall: recall, macro.
      exact_match: fraction of the images whose predicted classes are all and only theirs.
      loss: mean over the images of the sum of the classes' sigmoid cross entropies.
      num_images: number of images.
    """

    headline = headlines.SEVERAL_CLASSES

    mean_average_precision: float
    micro_f1: float
    macro_f1: float
    micro_precision: float
    micro_recall: float
    macro_precision: float
    macro_recall: float
    exact_match: float
    loss: float
    num_images: int

    def lines(self, split_name: str, num_images: int) -> Sequence[str]:
        """Returns the mean average precision first."""
        counted = f"({self.num_images} of {num_images} images)"
        return (
            f"{split_name} mAP {self.mean_average_precision:.4f} {counted}",
            f"{split_name} micro F1 {self.micro_f1:.4f}, macro F1 {self.macro_f1:.4f}",
            f"{split_name} loss {self.loss:.4f}",
        )

    def detail_lines(self, split_name: str) -> Sequence[str]:
        """Returns the others."""
        micro = f"precision {self.micro_precision:.4f}, recall {self.micro_recall:.4f}"
        macro = f"precision {self.macro_precision:.4f}, recall {self.macro_recall:.4f}"
        return (
            f"{split_name} micro {micro}",
            f"{split_name} macro {macro}",
            f"{split_name} exact match {self.exact_match:.4f}",
        )

    def tf_slim_lines(self) -> Sequence[str]:
        """Returns nothing: TF-Slim's script has one class an image."""
        return ()

    def row(self) -> Mapping[str, float]:
        """Returns the columns of a table."""
        return {
            "mAP": self.mean_average_precision,
            "micro F1": self.micro_f1,
            "macro F1": self.macro_f1,
            "exact match": self.exact_match,
            "loss": self.loss,
        }

    def raw_values(self) -> Mapping[str, float]:
        """Returns mean average precision and loss."""
        return {
            "raw_mean_average_precision": self.mean_average_precision,
            "raw_loss": self.loss,
        }


class SeveralClassesMetrics:
    """The metrics of any number of classes an image.

    The counts take memory by class. The mean average precision is exact, for which the logits are
    kept: 4 bytes and a bit for each image and class.

    Args:
      classifier: the model.
      keep_outcomes: whether to keep the answer to each image.
    """

    def __init__(self, classifier: InferenceModel, keep_outcomes: bool) -> None:
        self._classifier, self._keep_outcomes = classifier, keep_outcomes
        self._loss = metrics.Mean()
        self.reset()

    def reset(self) -> None:
        """Forgets all batches."""
        self._loss.reset()
        classes = self._classifier.info.num_classes
        self._counts = np.zeros([3, classes], np.int64)  # support, predicted and hits
        self._num_exact = self._num_images = 0
        self._labels = [np.zeros([0, -(-classes // 8)], np.uint8)]
        self._logits = [np.zeros([0, classes], np.float32)]
        self._answers: list[Mapping[str, np.ndarray]] = []

    def update(
        self, logits: tf.Tensor, probabilities: tf.Tensor, batch: Mapping[str, tf.Tensor]
    ) -> dict[str, tf.Tensor]:
        """Adds the losses of a batch; returns its labels, logits and probabilities."""
        temperature = self._classifier.temperature
        scaled = logits if temperature is None else logits / temperature
        losses = label_kinds.SEVERAL_CLASSES.losses(scaled, batch["label"])
        self._loss.update(losses, batch["mask"])
        rows = {"labels": tf.cast(batch["label"], tf.bool), "probabilities": probabilities}
        places = results.place_of(batch) if self._keep_outcomes else {}
        return {**rows, "logits": logits, **places}

    def keep(self, rows: Mapping[str, np.ndarray]) -> None:
        """Counts the labels of a batch's images and keeps their logits."""
        labels, answers = rows["labels"], dict(rows)
        predicted = rows["probabilities"] >= self._classifier.thresholds
        each = (labels, predicted, labels & predicted)
        self._counts += np.stack([part.sum(axis=0) for part in each])
        self._num_exact += int((labels == predicted).all(axis=1).sum())
        self._num_images += len(labels)
        self._labels.append(np.packbits(labels, axis=1))
        self._logits.append(answers.pop("logits"))
        if self._keep_outcomes:
            self._answers.append(answers)

    def result(self) -> SeveralClassesEvaluation:
        """Returns the metrics."""
        scores = self._scores()
        number = self._num_images
        return SeveralClassesEvaluation(
            mean_average_precision=scores.macro(scores.average_precisions),
            micro_f1=scores.micro_f1,
            macro_f1=scores.macro(scores.f1_scores),
            micro_precision=scores.micro_precision,
            micro_recall=scores.micro_recall,
            macro_precision=scores.macro(scores.precisions),
            macro_recall=scores.macro(scores.recalls),
            exact_match=self._num_exact / number if number else float("nan"),
            loss=self._loss.result(),
            num_images=number,
        )

    def details(self) -> Details:
        """Returns the scores and, if kept, the answers."""
        outcomes = None
        if self._keep_outcomes:
            classes, none = self._classifier.info.num_classes, np.zeros([0], np.int64)
            empty = {
                "labels": np.zeros([0, classes], bool),
                "probabilities": np.zeros([0, classes], np.float32),
                "shards": none, "records": none, "filenames": np.zeros([0], object),
            }  # fmt: skip
            values = results.joined(self._answers, empty)
            outcomes = LabelOutcomes(**values, thresholds=self._classifier.thresholds)
        return Details(self._scores(), (), outcomes)

    def best_thresholds(self, default: float = 0.0) -> np.ndarray:
        """Returns the logit from which each class is predicted best, by its F1 score; for a class
        without images, `default`."""
        return metrics.best_thresholds(*self._rows(), default)

    def _scores(self) -> metrics.LabelScores:
        precisions = metrics.average_precisions(*self._rows())
        return metrics.LabelScores(*self._counts, precisions, self._classifier.thresholds)

    def _rows(self) -> tuple[np.ndarray, np.ndarray]:
        """Returns the labels and the logits of the images."""
        classes = self._classifier.info.num_classes
        packed = np.concatenate(self._labels)
        return np.unpackbits(packed, axis=1, count=classes).astype(bool), np.concatenate(
            self._logits
        )
