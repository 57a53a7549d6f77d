"""Everything that the sections of a report show, computed once."""

import dataclasses

import numpy as np

from classifier.report import findings
from classifier.report.confusion import Confusion, confusion
from classifier.report.data import ReportData
from classifier.report.findings import Duplicates
from classifier.report.gallery import PAIRS, PER_GALLERY, cell_images
from classifier.report.scores import Calibration, calibration, confusion_matrix
from slim import metrics


@dataclasses.dataclass(frozen=True)
class Analysis:
    """The results of an evaluation.

    Attributes:
      scores: per class.
      calibration: of the confidences.
      confusion: matrix of labels and predictions.
      pairs: label, prediction and number of each confusion, the most frequent first.
      cells: images of each cell of the matrix.
      mistakes: most confident wrong answers.
      hits: least confident correct answers.
      label_errors: images whose label is likely wrong.
      duplicates: similar images of the other split; None if there is none.
    """

    scores: metrics.ClassScores
    calibration: Calibration
    confusion: Confusion
    pairs: list[tuple[int, int, int]]
    cells: dict[tuple[int, int], list[int]]
    mistakes: np.ndarray
    hits: np.ndarray
    label_errors: np.ndarray
    duplicates: Duplicates | None

    @property
    def galleries(self) -> list[int]:
        """Indices of the images in galleries."""
        return list(map(int, [*self.mistakes, *self.hits, *self.label_errors[:PER_GALLERY]]))

    @property
    def first_images(self) -> list[int]:
        """Indices of the images that the page shows before anything is selected."""
        similar = self.duplicates.images[:PAIRS].tolist() if self.duplicates else []
        return self.galleries + similar


def analyze(data: ReportData) -> Analysis:
    """Returns the results of an evaluation."""
    outcomes, classes = data.outcomes, len(data.class_names)
    counts = confusion_matrix(outcomes, classes)
    pairs = counts.confusions()
    matrix = confusion(outcomes, classes, pairs)
    duplicates = None
    if data.other is not None and data.features is not None:
        duplicates = findings.near_duplicates(data.features, data.other.features)
    return Analysis(
        scores=counts.class_scores(),
        calibration=calibration(outcomes),
        confusion=matrix,
        pairs=pairs,
        cells=cell_images(matrix, outcomes.confidences),
        mistakes=findings.confident_mistakes(outcomes, PER_GALLERY),
        hits=findings.doubtful_hits(outcomes, PER_GALLERY),
        label_errors=findings.label_errors(outcomes, classes),
        duplicates=duplicates,
    )
