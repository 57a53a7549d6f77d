"""What the labels of an image are: one class, or any number of classes.

Everything that differs between the two and needs TensorFlow: how labels become targets of the loss,
how logits become probabilities, and what the answer is. `inputs.labels` reads the labels, and
`classifier.inference` has the metrics of each kind.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
import tensorflow as tf

import slim
from classifier import headlines
from classifier.model_info import Calibration, ModelInfo

DEFAULT_THRESHOLD = 0.5
SEPARATOR = ";"  # of several class names in a cell of a table
_SOFTMAXES = ("Predictions", "predictions")  # end points of networks


class LabelKind(Protocol):
    """A kind of labels; `label` is as in the batches of `inputs`.

    Attributes:
      metric: name of the metric that training logs.
      loss: name of the default loss.
      score_name: name of `score`.
    """

    metric: str
    loss: str
    score_name: str

    def targets(self, label: tf.Tensor, num_classes: int) -> tf.Tensor:
        """Returns the targets of the loss, float32 [batch, classes]."""

    def class_factors(self, class_weights: tf.Tensor, label: tf.Tensor) -> tf.Tensor:
        """Returns the weights of the losses that follow from the weights of the classes."""

    def num_losses(self, num_classes: int, class_weights: Sequence[float]) -> int:
        """Returns the number of an image's sigmoid losses that have a nonzero weight."""

    def training_metric(
        self, logits: tf.Tensor, label: tf.Tensor, weight: tf.Tensor | float
    ) -> tf.Tensor:
        """Returns the metric that training logs, over the images with a nonzero weight."""

    def probabilities(
        self,
        logits: tf.Tensor,
        end_points: Mapping[str, tf.Tensor],
        temperature: float | None = None,
    ) -> tf.Tensor:
        """Returns the probabilities, [batch, classes].

        Args:
          logits: [batch, classes].
          end_points: of the network.
          temperature: divisor of the logits, fitted by `eval_image_classifier.py`; None for none.
        """

    def keeps(self, end_point: str) -> bool:
        """Returns whether an exported graph has an end point of the network."""

    def mean_logits(self, logits: Sequence[tf.Tensor]) -> tf.Tensor:
        """Returns logits whose probabilities are the means of those of several logits."""

    def losses(self, logits: tf.Tensor, label: tf.Tensor) -> tf.Tensor:
        """Returns the cross entropy of each image, [batch]."""

    def divergences(self, targets: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        """Returns the Kullback-Leibler divergence of each image's probabilities from those of the
        logits `targets`, [batch]."""

    def loss_slope(self, logits: tf.Tensor, label: tf.Tensor, inverse: tf.Tensor) -> tf.Tensor:
        """Returns the derivative of each image's `losses(inverse * logits)` by `inverse`."""

    def relabeled(
        self, label: tf.Tensor, indices: Sequence[int], num_classes: int
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the labels as those of other classes, and whether an image counts, bool [batch].

        Args:
          label: the labels.
          indices: index of each class in the other ones; -1 if it has none.
          num_classes: number of the other classes.
        """

    def answers(self, logits: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
        """Returns the answer to each image.

        Args:
          logits: [images, classes].
          thresholds: logit from which each of several classes is a label, [classes].
        """

    def score(self, answers: np.ndarray, labels: np.ndarray) -> float:
        """Returns how good answers are, 0 to 1; labels as in the batches of `inputs`."""

    def names(
        self, probabilities: tf.Tensor, thresholds: np.ndarray, class_names: Sequence[str]
    ) -> tf.Tensor:
        """Returns the class names of the answers, for a graph."""


class OneClass:
    """One class an image: the classes' probabilities are a softmax."""

    metric = headlines.ONE_CLASS.training
    loss = "softmax"
    score_name = "accuracy"

    def targets(self, label: tf.Tensor, num_classes: int) -> tf.Tensor:
        """Returns one-hot vectors; `label` is int64 [batch]."""
        return slim.one_hot_encoding(label, num_classes)

    def class_factors(self, class_weights: tf.Tensor, label: tf.Tensor) -> tf.Tensor:
        """Returns the weight of each image's class, [batch]."""
        return tf.gather(class_weights, label)

    def num_losses(self, num_classes: int, class_weights: Sequence[float]) -> int:
        """Returns the number of classes: the weight of an image is that of all its losses."""
        del class_weights
        return num_classes

    def training_metric(
        self, logits: tf.Tensor, label: tf.Tensor, weight: tf.Tensor | float
    ) -> tf.Tensor:
        """Returns the accuracy."""
        correct = tf.cast(tf.equal(tf.argmax(logits, axis=-1), label), tf.float32)
        counted = weight * tf.ones_like(correct)
        return tf.math.divide_no_nan(tf.reduce_sum(counted * correct), tf.reduce_sum(counted))

    def probabilities(
        self,
        logits: tf.Tensor,
        end_points: Mapping[str, tf.Tensor],
        temperature: float | None = None,
    ) -> tf.Tensor:
        """Returns the softmax, an end point of most networks."""
        if temperature is not None:
            return tf.nn.softmax(logits / temperature, name="probabilities")
        for name in _SOFTMAXES:
            if name in end_points:
                return end_points[name]
        return tf.nn.softmax(logits, name="probabilities")

    def keeps(self, end_point: str) -> bool:
        """Returns true."""
        del end_point
        return True

    def mean_logits(self, logits: Sequence[tf.Tensor]) -> tf.Tensor:
        """Returns the logarithms of the mean probabilities."""
        # In logarithms: a probability that underflows would become an infinite logit.
        return _log_mean([tf.nn.log_softmax(each) for each in logits])

    def losses(self, logits: tf.Tensor, label: tf.Tensor) -> tf.Tensor:
        """Returns the softmax cross entropies."""
        return tf.nn.sparse_softmax_cross_entropy_with_logits(label, logits)

    def divergences(self, targets: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        """Returns those of the softmaxes."""
        logs = tf.nn.log_softmax(targets)
        return tf.reduce_sum(tf.exp(logs) * (logs - tf.nn.log_softmax(logits)), axis=-1)

    def loss_slope(self, logits: tf.Tensor, label: tf.Tensor, inverse: tf.Tensor) -> tf.Tensor:
        """Returns the expected logit minus that of the class."""
        true = tf.gather(logits, label, batch_dims=1)
        return tf.reduce_sum(tf.nn.softmax(inverse * logits) * logits, axis=-1) - true

    def relabeled(
        self, label: tf.Tensor, indices: Sequence[int], num_classes: int
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the other classes; an image of none does not count."""
        del num_classes
        labels = tf.gather(tf.constant(indices, tf.int64), label)
        return tf.maximum(labels, 0), labels >= 0

    def answers(self, logits: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
        """Returns the best classes, [images]."""
        del thresholds
        return logits.argmax(axis=1)

    def score(self, answers: np.ndarray, labels: np.ndarray) -> float:
        """Returns the accuracy."""
        return float(np.mean(answers == labels))

    def names(
        self, probabilities: tf.Tensor, thresholds: np.ndarray, class_names: Sequence[str]
    ) -> tf.Tensor:
        """Returns the name of each best class, [batch]."""
        del thresholds
        return tf.gather(tf.constant(class_names), tf.argmax(probabilities, axis=-1))


class SeveralClasses:
    """Any number of classes an image: each class's probability is a sigmoid."""

    metric = headlines.SEVERAL_CLASSES.training
    loss = "sigmoid"
    score_name = "micro F1"

    def targets(self, label: tf.Tensor, num_classes: int) -> tf.Tensor:
        """Returns the labels as they are: 1 for each class of the image, [batch, classes]."""
        del num_classes
        return tf.cast(label, tf.float32)

    def class_factors(self, class_weights: tf.Tensor, label: tf.Tensor) -> tf.Tensor:
        """Returns the weight of each class, [batch, classes]."""
        return tf.broadcast_to(class_weights, tf.shape(label))

    def num_losses(self, num_classes: int, class_weights: Sequence[float]) -> int:
        """Returns the number of classes with a nonzero weight."""
        return np.count_nonzero(class_weights) if class_weights else num_classes

    def training_metric(
        self, logits: tf.Tensor, label: tf.Tensor, weight: tf.Tensor | float
    ) -> tf.Tensor:
        """Returns the F1 score of all labels together, with `DEFAULT_THRESHOLD`."""
        counted = tf.broadcast_to(tf.cast(weight, tf.float32), tf.shape(label)[:1])[:, tf.newaxis]
        actual, predicted = tf.cast(label, tf.float32), tf.cast(logits >= 0, tf.float32)
        hits = tf.reduce_sum(counted * actual * predicted)
        return tf.math.divide_no_nan(2 * hits, tf.reduce_sum(counted * (actual + predicted)))

    def probabilities(
        self,
        logits: tf.Tensor,
        end_points: Mapping[str, tf.Tensor],
        temperature: float | None = None,
    ) -> tf.Tensor:
        """Returns the sigmoids; the end points of a network are a softmax."""
        del end_points
        scaled = logits if temperature is None else logits / temperature
        return tf.nn.sigmoid(scaled, name="probabilities")

    def keeps(self, end_point: str) -> bool:
        """Returns whether it is not a softmax, which would be mistaken for the probabilities."""
        return end_point not in _SOFTMAXES

    def mean_logits(self, logits: Sequence[tf.Tensor]) -> tf.Tensor:
        """Returns the log odds of the mean probabilities."""
        positive = _log_mean([tf.math.log_sigmoid(each) for each in logits])
        return positive - _log_mean([tf.math.log_sigmoid(-each) for each in logits])

    def losses(self, logits: tf.Tensor, label: tf.Tensor) -> tf.Tensor:
        """Returns the sigmoid cross entropies, sums over the classes."""
        targets = tf.cast(label, logits.dtype)
        return tf.reduce_sum(tf.nn.sigmoid_cross_entropy_with_logits(targets, logits), axis=-1)

    def divergences(self, targets: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        """Returns those of the sigmoids, sums over the classes."""
        parts = []
        for sign in (1.0, -1.0):  # of having a class, and of not having it
            logs = tf.math.log_sigmoid(sign * targets)
            parts.append(tf.exp(logs) * (logs - tf.math.log_sigmoid(sign * logits)))
        return tf.reduce_sum(tf.add_n(parts), axis=-1)

    def loss_slope(self, logits: tf.Tensor, label: tf.Tensor, inverse: tf.Tensor) -> tf.Tensor:
        """Returns the sum of each logit times the error of its probability."""
        errors = tf.nn.sigmoid(inverse * logits) - tf.cast(label, logits.dtype)
        return tf.reduce_sum(errors * logits, axis=-1)

    def relabeled(
        self, label: tf.Tensor, indices: Sequence[int], num_classes: int
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the labels among the other classes; every image counts."""
        # Other classes without one here have no image.
        sources = np.full(num_classes, len(indices), np.int64)
        sources[[each for each in indices if each >= 0]] = np.flatnonzero(np.array(indices) >= 0)
        padded = tf.pad(label, [[0, 0], [0, 1]])
        return tf.gather(padded, sources, axis=1), tf.ones(tf.shape(label)[:1], tf.bool)

    def answers(self, logits: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
        """Returns whether each class is a label, bool [images, classes]."""
        return logits >= thresholds

    def score(self, answers: np.ndarray, labels: np.ndarray) -> float:
        """Returns the F1 score of all labels together."""
        hits, every = np.sum(answers & (labels > 0)), answers.sum() + labels.sum()
        return float(2 * hits / every) if every else 1.0

    def names(
        self, probabilities: tf.Tensor, thresholds: np.ndarray, class_names: Sequence[str]
    ) -> tf.Tensor:
        """Returns the name of each class that is a label, and "" for the others, [batch,
        classes]."""
        is_label = probabilities >= tf.constant(thresholds, probabilities.dtype)
        return tf.where(is_label, tf.constant(class_names), "")


ONE_CLASS, SEVERAL_CLASSES = OneClass(), SeveralClasses()


def kind_of(info: ModelInfo) -> LabelKind:
    """Returns the kind of a model's labels."""
    return SEVERAL_CLASSES if info.multi_label else ONE_CLASS


def label_text(
    label: np.ndarray | int, class_names: Sequence[str], separator: str = SEPARATOR
) -> str:
    """Returns the name of an image's class, or the names of its several classes.

    Args:
      label: a class, or an array that is nonzero at each of several ones, [classes].
      class_names: names of the classes; the number of a class that has none.
      separator: between several names.
    """
    classes = np.flatnonzero(label) if np.ndim(label) else [int(label)]
    return separator.join(
        class_names[each] if each < len(class_names) else str(each) for each in classes
    )


def thresholds(info: ModelInfo, calibration: Calibration | None) -> np.ndarray:
    """Returns the probability from which each of several classes is a label, float64 [classes]."""
    fitted = calibration.thresholds if calibration else ()
    return np.array(fitted or [DEFAULT_THRESHOLD] * info.num_classes)


def logits_at(probabilities: np.ndarray, temperature: float | None) -> np.ndarray:
    """Returns the logits with some probabilities as sigmoids after a temperature."""
    with np.errstate(divide="ignore"):  # of 0 and 1
        return (temperature or 1.0) * (np.log(probabilities) - np.log1p(-probabilities))


def _log_mean(logs: Sequence[tf.Tensor]) -> tf.Tensor:
    return tf.reduce_logsumexp(tf.stack(logs), axis=0) - math.log(len(logs))
