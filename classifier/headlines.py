"""The metric that tells how good a model is, by the kind of its labels; no TensorFlow here.

It ranks the checkpoints of a run, ends a run without improvement, and stands first in the output.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any


@dataclasses.dataclass(frozen=True)
class Headline:
    """A metric, and what training logs in its place.

    Attributes:
      training: name in the log lines' values in metrics.jsonl.
      short: its name in the log lines.
      evaluation: name of the metric of an evaluation.
      words: the metric in a sentence.
    """

    training: str
    short: str
    evaluation: str
    words: str

    @property
    def key(self) -> str:
        """Name of the evaluation's metric in metrics.jsonl."""
        return f"eval_{self.evaluation}"


ONE_CLASS = Headline("accuracy", "acc", "accuracy", "accuracy")
SEVERAL_CLASSES = Headline("micro_f1", "F1", "mean_average_precision", "mAP")


def headline(multi_label: bool) -> Headline:
    """Returns the metric of one class an image, or of several."""
    return SEVERAL_CLASSES if multi_label else ONE_CLASS


def is_evaluation(line: Mapping[str, Any]) -> bool:
    """Returns whether a line of metrics.jsonl is of an evaluation."""
    return ONE_CLASS.key in line or SEVERAL_CLASSES.key in line
