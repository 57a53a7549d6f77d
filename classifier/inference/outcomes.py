"""What an evaluation saw of each image: the source of its tables and of the report."""

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np

from classifier.label_kinds import label_text


@dataclasses.dataclass(frozen=True)
class Outcomes:
    """The answers of a model to the images of a split, in the order of the records.

    Attributes:
      labels: index of each image's true class, int64 [images].
      classes: indices of its k most probable classes, the most probable first, int64 [images, k].
      probabilities: probabilities of `classes`, float32 [images, k].
      label_probabilities: probability of the true class, float32 [images].
      shards: index of the shard, int64 [images].
      records: index of the record in the shard, int64 [images].
      filenames: name of each image's source file; empty strings if the dataset has none.
    """

    labels: np.ndarray
    classes: np.ndarray
    probabilities: np.ndarray
    label_probabilities: np.ndarray
    shards: np.ndarray
    records: np.ndarray
    filenames: Sequence[str]

    @property
    def predicted(self) -> np.ndarray:
        """Index of each image's most probable class, int64 [images]."""
        return self.classes[:, 0]

    @property
    def is_correct(self) -> np.ndarray:
        """Whether the most probable class is the true one, bool [images]."""
        return self.predicted == self.labels

    @property
    def confidences(self) -> np.ndarray:
        """Probability of the most probable class, float32 [images]."""
        return self.probabilities[:, 0]

    @property
    def highest_class(self) -> int:
        """The largest index of a class."""
        return int(max(self.labels.max(), self.classes.max()))

    def label_text(self, image: int, class_names: Sequence[str]) -> str:
        """Returns the name of an image's true class."""
        return class_names[self.labels[image]]

    def table(self, class_names: Sequence[str]) -> Iterator[Sequence[object]]:
        """Yields a head and a row for each image: its true class, and its k most probable classes
        with their probabilities."""
        ranks = range(1, self.classes.shape[1] + 1)
        yield ["label", *(f"{name}_{rank}" for rank in ranks for name in ("class", "probability"))]
        for label, classes, values in zip(
            self.labels, self.classes, self.probabilities, strict=True
        ):
            pairs = zip(classes, values, strict=True)
            answers = (each for place, value in pairs for each in (class_names[place], value))
            yield [class_names[label], *answers]


@dataclasses.dataclass(frozen=True)
class LabelOutcomes:
    """The same with several labels an image.

    Attributes:
      labels: whether each image has each class, bool [images, classes].
      probabilities: of the classes, float32 [images, classes].
      thresholds: probability from which each class is predicted, [classes].
      shards: index of the shard, int64 [images].
      records: index of the record in the shard, int64 [images].
      filenames: name of each image's source file; empty strings if the dataset has none.
    """

    labels: np.ndarray
    probabilities: np.ndarray
    thresholds: np.ndarray
    shards: np.ndarray
    records: np.ndarray
    filenames: Sequence[str]

    @property
    def predicted(self) -> np.ndarray:
        """Whether each class is predicted for each image, bool [images, classes]."""
        return self.probabilities >= self.thresholds

    @property
    def is_correct(self) -> np.ndarray:
        """Whether the predicted classes are all and only the image's, bool [images]."""
        return np.asarray((self.predicted == self.labels).all(axis=1))

    @property
    def losses(self) -> np.ndarray:
        """Sum of the classes' sigmoid cross entropies, float64 [images]."""
        right = np.where(self.labels, self.probabilities, 1 - self.probabilities.astype(np.float64))
        return -np.log(np.maximum(right, 1e-30)).sum(axis=1)

    @property
    def highest_class(self) -> int:
        """The largest index of a class."""
        return self.labels.shape[1] - 1

    def label_text(self, image: int, class_names: Sequence[str]) -> str:
        """Returns the names of an image's classes."""
        return label_text(self.labels[image], class_names)

    def table(self, class_names: Sequence[str]) -> Iterator[Sequence[object]]:
        """Yields a head and a row for each image: its classes, the predicted ones, and the
        probability of every class."""
        yield ["labels", "predicted", *class_names]
        for labels, predicted, values in zip(
            self.labels, self.predicted, self.probabilities, strict=True
        ):
            both = (label_text(each, class_names) for each in (labels, predicted))
            yield [*both, *values]
