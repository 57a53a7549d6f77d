"""The confusion matrix as the report shows it: of the most confused classes if there are many."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from classifier.inference.outcomes import Outcomes

MAX_ALL = 50  # classes shown completely
MAX_CONFUSED = 32  # of more classes


@dataclasses.dataclass(frozen=True)
class Confusion:
    """A confusion matrix.

    Attributes:
      classes: indices of the classes that have a row and a column, ascending.
      has_others: whether a last row and column sum up the other classes.
      counts: number of images by row (label) and column (prediction).
      rows: row of each image.
      columns: column of each image.
    """

    classes: np.ndarray
    has_others: bool
    counts: np.ndarray
    rows: np.ndarray
    columns: np.ndarray

    @property
    def fractions(self) -> np.ndarray:
        """Counts as fractions of their row; 0 in rows without images."""
        totals = self.counts.sum(axis=1, keepdims=True)
        return np.asarray(self.counts / np.maximum(totals, 1))

    def orders(self) -> dict[str, list[int]]:
        """Returns the rows in each order that the report offers, without the other classes'."""
        number = len(self.classes)
        own = self.counts[:number]
        errors = own.sum(axis=1) - own.diagonal() + self.counts[:, :number].sum(axis=0)
        errors -= own.diagonal()
        return {
            "class": list(range(number)),
            "errors": np.argsort(-errors, kind="stable").tolist(),
            "frequency": np.argsort(-own.sum(axis=1), kind="stable").tolist(),
        }


def confusion(
    outcomes: Outcomes, num_classes: int, pairs: Sequence[tuple[int, int, int]]
) -> Confusion:
    """Returns the matrix of all classes, or of those in the most frequent confusions.

    Args:
      outcomes: the answers to the images.
      num_classes: number of classes.
      pairs: label, prediction and number of each confusion, the most frequent first.
    """
    has_others = num_classes > MAX_ALL
    if has_others:
        confused = [each for label, prediction, _ in pairs for each in (label, prediction)]
        support = np.bincount(outcomes.labels, minlength=num_classes)
        frequent = np.argsort(-support, kind="stable").tolist()
        classes = np.sort(list(dict.fromkeys(confused + frequent))[:MAX_CONFUSED])
    else:
        classes = np.arange(num_classes)
    number = len(classes)
    positions = np.full(num_classes, number)
    positions[classes] = np.arange(number)
    rows, columns = positions[outcomes.labels], positions[outcomes.predicted]
    side = number + has_others
    counts = np.bincount(rows * side + columns, minlength=side * side).reshape(side, side)
    return Confusion(classes, has_others, counts, rows, columns)
