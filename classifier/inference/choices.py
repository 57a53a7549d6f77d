"""Which classes are the answer to an image."""

import dataclasses
from typing import Protocol

import numpy as np

from classifier import label_kinds
from classifier.model_info import Calibration, ModelInfo


class Choice(Protocol):
    """A rule."""

    def __call__(self, probabilities: np.ndarray) -> tuple[np.ndarray, bool]:
        """Returns the answer to an image.

        Args:
          probabilities: [classes].

        Returns:
          The indices of the classes to show, the most probable first, and whether none of the
          classes is the answer.
        """


@dataclasses.dataclass(frozen=True)
class Best:
    """The most probable classes, of which the first is the answer.

    Attributes:
      number: of classes to show.
      threshold: probability below which no class is the answer; None for none.
    """

    number: int
    threshold: float | None = None

    def __call__(self, probabilities: np.ndarray) -> tuple[np.ndarray, bool]:
        """Returns the answer to an image."""
        best = np.argsort(-probabilities, kind="stable")[: self.number]
        is_rejected = self.threshold is not None and probabilities[best[0]] < self.threshold
        return best, bool(is_rejected)


@dataclasses.dataclass(frozen=True, eq=False)
class AllAbove:
    """All classes whose probability reaches their threshold.

    Attributes:
      thresholds: of the classes, [classes].
    """

    thresholds: np.ndarray

    def __call__(self, probabilities: np.ndarray) -> tuple[np.ndarray, bool]:
        """Returns the answer to an image."""
        order = np.argsort(-probabilities, kind="stable")
        chosen = order[(probabilities >= self.thresholds)[order]]
        return chosen, not len(chosen)


def choice(info: ModelInfo, calibration: Calibration | None, number: int) -> Choice:
    """Returns the rule of a model.

    Args:
      info: the model.
      calibration: of its weights; None if they have none.
      number: maximum number of classes to show, of one class an image.
    """
    if info.multi_label:
        return AllAbove(label_kinds.thresholds(info, calibration))
    return Best(number, calibration.rejection_threshold if calibration else None)
