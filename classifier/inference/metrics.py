"""Metrics of a model on a split; each image counts once."""

import dataclasses
import math

import numpy as np
import tensorflow as tf

from classifier.inference.model import InferenceModel
from slim import _checks, metrics


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """The metrics of an evaluation.

    Attributes:
      accuracy: fraction of the images whose class has the highest score.
      recall_at_k: fraction of the images whose class is among the k highest scores.
      k: 5, or the number of classes if that is smaller.
      macro_recall: mean recall of the classes.
      loss: mean cross entropy.
      num_images: number of images.
    """

    accuracy: float
    recall_at_k: float
    k: int
    macro_recall: float
    loss: float
    num_images: int


class Evaluator:
    """Evaluates a model; traced once, also if the model's weights change.

    Args:
      classifier: the model.
    """

    def __init__(self, classifier: InferenceModel) -> None:
        self._classifier = classifier
        classes = classifier.info.num_classes
        self._accuracy, self._loss = metrics.Accuracy(), metrics.Mean()
        self._recall = metrics.RecallAtK(min(5, classes))
        self._confusion = metrics.ConfusionMatrix(classes)
        self._step = tf.function(self._count, autograph=False)

    def __call__(self, batches: tf.data.Dataset, num_batches: int) -> Evaluation:
        """Returns the metrics over some batches.

        Args:
          batches: from `inputs.evaluation_dataset`.
          num_batches: number of batches.

        Raises:
          RunError: if a logit is not finite; argmax would return a class regardless.
        """
        for metric in (self._accuracy, self._loss, self._recall, self._confusion):
            metric.reset()
        for number, batch in enumerate(batches.take(num_batches)):
            if not self._step(batch):
                raise _checks.RunError(
                    f"the logits of batch {number} are not finite: the run of"
                    f" {self._classifier.prefix} diverged, or the images are not in the range that"
                    " the network expects"
                )
        recalls = self._confusion.recalls()
        present = recalls[~np.isnan(recalls)]
        return Evaluation(
            accuracy=self._accuracy.result(),
            recall_at_k=self._recall.result(),
            k=self._recall.k,
            macro_recall=float(present.mean()) if present.size else math.nan,
            loss=self._loss.result(),
            num_images=round(self._accuracy.count),
        )

    def _count(self, batch: dict[str, tf.Tensor]) -> tf.Tensor:
        """Adds a batch and returns whether its logits are finite."""
        logits = tf.cast(self._classifier(batch["image"])["logits"], tf.float32)
        labels, mask = batch["label"], batch["mask"]
        predicted = tf.argmax(logits, axis=-1)
        self._accuracy.update(predicted, labels, mask)
        self._recall.update(logits, labels, mask)
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
        self._loss.update(losses, mask)
        self._confusion.update(predicted, labels, mask)
        return tf.reduce_all(tf.math.is_finite(tf.boolean_mask(logits, mask)))


def report(result: Evaluation, split_name: str, num_images: int) -> None:
    """Prints the metrics, accuracy first."""
    counted = f"({result.num_images} of {num_images} images)"
    print(f"{split_name} accuracy {result.accuracy:.3f} {counted}")
    print(f"{split_name} recall_{result.k} {result.recall_at_k:.4f}")
    print(f"{split_name} macro recall {result.macro_recall:.4f}")
    print(f"{split_name} loss {result.loss:.4f}", flush=True)


def report_as_tf_slim(result: Evaluation) -> None:
    """Prints the two lines of TF-Slim's script, which programs parse.

    With fewer than 5 classes, the recall at 5 is 1, as the recall at k is.
    """
    print(f"eval/Accuracy[{result.accuracy:.9g}]")
    print(f"eval/Recall_5[{result.recall_at_k:.9g}]", flush=True)
