"""How good a model is on a split, each image counted once."""

import dataclasses
import math

import numpy as np
import tensorflow as tf

from classifier.inference.model import InferenceModel
from slim import _checks, metrics


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """What an evaluation found.

    Attributes:
      accuracy: share of the images whose class had the highest score.
      recall_at_k: share whose class was among the k highest.
      k: 5, or the number of classes where that is smaller.
      macro_recall: mean over the classes of each class's recall.
      loss: mean cross entropy.
      num_images: images counted.
    """

    accuracy: float
    recall_at_k: float
    k: int
    macro_recall: float
    loss: float
    num_images: int


class Evaluator:
    """Counts how often a model is right; traced once, whatever weights the model then gets.

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
        """Returns what the batches say.

        Args:
          batches: from `inputs.evaluation_dataset`.
          num_batches: how many to look at.

        Raises:
          RunError: if a logit is not a finite number, for argmax would name a class all the same.
        """
        for metric in (self._accuracy, self._loss, self._recall, self._confusion):
            metric.reset()
        for number, batch in enumerate(batches.take(num_batches)):
            if not self._step(batch):
                raise _checks.RunError(
                    f"the logits of batch {number} are not all finite numbers: "
                    f"{self._classifier.prefix} is of a run that diverged, or the images are not "
                    "what the network expects"
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


def report(found: Evaluation, split_name: str, num_images: int) -> None:
    """Prints the results, the accuracy first."""
    counted = f"({found.num_images} of {num_images} images)"
    print(f"{split_name} accuracy {found.accuracy:.3f} {counted}")
    print(f"{split_name} recall_{found.k} {found.recall_at_k:.4f}")
    print(f"{split_name} macro recall {found.macro_recall:.4f}")
    print(f"{split_name} loss {found.loss:.4f}", flush=True)


def report_as_tf_slim(found: Evaluation) -> None:
    """Prints the two lines of TF-Slim's script, which programs parse.

    With fewer than 5 classes, the recall at 5 is 1, as the recall at k is.
    """
    print(f"eval/Accuracy[{found.accuracy:.9g}]")
    print(f"eval/Recall_5[{found.recall_at_k:.9g}]", flush=True)
