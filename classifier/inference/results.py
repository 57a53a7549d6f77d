"""What an evaluation of either kind of labels has in common."""

import abc
import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Protocol

import numpy as np
import tensorflow as tf

from classifier.headlines import Headline
from classifier.inference.outcomes import LabelOutcomes, Outcomes
from slim.metrics import ClassScores


class Result(abc.ABC):
    """The metrics of an evaluation; a subclass is a dataclass with a number per metric.

    Attributes:
      headline: the metric that ranks results.
      loss: mean cross entropy.
      num_images: number of images.
    """

    headline: ClassVar[Headline]
    loss: float
    num_images: int

    @property
    def score(self) -> float:
        """The value of the metric that ranks results."""
        return float(getattr(self, self.headline.evaluation))

    @abc.abstractmethod
    def lines(self, split_name: str, num_images: int) -> Sequence[str]:
        """Returns the lines that are always printed, for a split with a number of images."""

    @abc.abstractmethod
    def detail_lines(self, split_name: str) -> Sequence[str]:
        """Returns the other lines."""

    @abc.abstractmethod
    def tf_slim_lines(self) -> Sequence[str]:
        """Returns the lines of TF-Slim's script, which programs parse."""

    @abc.abstractmethod
    def row(self) -> Mapping[str, float]:
        """Returns the columns of a table with a row per result."""

    @abc.abstractmethod
    def raw_values(self) -> Mapping[str, float]:
        """Returns what training records if this is of the weights without moving averages."""

    def intervals(self) -> Mapping[str, tuple[float, float]]:
        """Returns confidence intervals of 95 % by name."""
        return {}


@dataclasses.dataclass(frozen=True)
class Details:
    """What an evaluation saw of the classes and the images.

    Attributes:
      scores: of each class.
      confusions: true class, predicted class and number of images for each pair of different
        classes, the most frequent first; empty with several labels an image.
      outcomes: the answer to each image; None if they were not kept.
    """

    scores: ClassScores
    confusions: Sequence[tuple[int, int, int]]
    outcomes: Outcomes | LabelOutcomes | None


class LogitsMetric(Protocol):
    """A further metric of an evaluation."""

    def update(self, logits: tf.Tensor, labels: tf.Tensor, weights: tf.Tensor) -> None:
        """Adds a batch."""


class Metrics(Protocol):
    """The metrics of one kind of labels."""

    def reset(self) -> None:
        """Forgets all batches."""

    def update(
        self, logits: tf.Tensor, probabilities: tf.Tensor, batch: Mapping[str, tf.Tensor]
    ) -> dict[str, tf.Tensor]:
        """Adds a batch in a traced function; returns what `keep` needs of each image."""

    def keep(self, rows: Mapping[str, np.ndarray]) -> None:
        """Keeps what `update` returned, of the images that count."""

    def result(self) -> Any:
        """Returns the `Result`."""

    def details(self) -> Details:
        """Returns the details."""


def place_of(batch: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """Returns the names and places of a batch's images, as of `Outcomes`."""
    return {
        "shards": batch["shard"],
        "records": batch["record"],
        "filenames": batch.get("filename", tf.fill(tf.shape(batch["record"]), "")),
    }


def joined(
    parts: Sequence[Mapping[str, np.ndarray]], empty: Mapping[str, np.ndarray]
) -> dict[str, Any]:
    """Returns the arguments of outcomes from those of the batches and those of no image."""
    every = [empty, *parts]
    values: dict[str, Any] = {}
    for name in empty:
        values[name] = np.concatenate([each[name] for each in every])
    names = values["filenames"]
    values["filenames"] = [name.decode(errors="surrogateescape") for name in names]
    return values
