"""What an evaluation saw of each image: the source of its tables and of the report."""

import dataclasses
from collections.abc import Sequence

import numpy as np


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
