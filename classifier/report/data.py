"""The input of a report."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from classifier.inference.outcomes import LabelOutcomes, Outcomes
from classifier.model_info import ModelInfo
from slim import _checks
from slim.metrics import LabelScores

ImageBytes = Callable[[int, int], bytes]
DEFAULT_THUMBNAILS = 300


@dataclasses.dataclass(frozen=True, kw_only=True)
class OtherSplit:
    """Images in which near-duplicates of the evaluated ones are searched.

    Attributes:
      name: of the split.
      features: of its images, [images, channels].
      shards: index of each image's shard, int64 [images].
      records: index of its record in the shard, int64 [images].
      filenames: name of each source file; empty strings if unknown.
      image_bytes: returns the encoded image of a shard and record.
    """

    name: str
    features: np.ndarray
    shards: np.ndarray
    records: np.ndarray
    filenames: Sequence[str]
    image_bytes: ImageBytes | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class ReportData:
    """An evaluation, and what is known about the model.

    Attributes:
      outcomes: the answers to the images; at least one.
      class_names: name of each class of the model.
      model: the model.
      checkpoint: path of the checkpoint.
      step: training step of the checkpoint, or None if unknown.
      dataset: name of the dataset.
      split: name of the split.
      metrics: lines of the run's metrics.jsonl, oldest first.
      config: content of the run's config.json, or None if there is none.
      image_bytes: returns the encoded image of a shard and record, for thumbnails; may be None.
      features: of the images, [images, channels], or None.
      other: the split to search for near-duplicates, or None. Needs `features`.
      thumbnails: maximum number of thumbnails.
      scores: of the classes, of several classes an image.

    Raises:
      UserError: if there is no image, a class has no name, or the features are not of the images.
    """

    outcomes: Outcomes | LabelOutcomes
    class_names: Sequence[str]
    model: ModelInfo
    checkpoint: str
    step: int | None
    dataset: str
    split: str
    metrics: Sequence[Mapping[str, Any]] = ()
    config: Mapping[str, Any] | None = None
    image_bytes: ImageBytes | None = None
    features: np.ndarray | None = None
    other: OtherSplit | None = None
    thumbnails: int = DEFAULT_THUMBNAILS
    scores: LabelScores | None = None

    def __post_init__(self) -> None:
        images, classes = len(self.outcomes.labels), len(self.class_names)
        if not images:
            raise _checks.UserError("a report needs at least one evaluated image")
        largest = self.outcomes.highest_class
        if largest >= classes:
            raise _checks.UserError(f"class_names has {classes} names, but class {largest} occurs")
        if self.features is not None and len(self.features) != images:
            raise _checks.UserError(
                f"features has {len(self.features)} rows, but there are {images} images"
            )
        if self.other is not None and self.features is None:
            raise _checks.UserError("near-duplicates need the features of both splits")
