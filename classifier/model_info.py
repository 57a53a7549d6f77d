"""The properties of a trained model, as stored in model_info.json."""

import dataclasses
from collections.abc import Mapping
from typing import Annotated, Any

import msgspec

from slim import _checks, _json
from slim._decodings import TF_SLIM, Decoding

_Classes = Annotated[int, msgspec.Meta(ge=1, le=1 << 20)]
_Side = Annotated[int, msgspec.Meta(ge=1, le=1 << 14)]


@dataclasses.dataclass(frozen=True)
class Calibration:
    """What an evaluation has fitted to the probabilities of one checkpoint.

    Attributes:
      temperature: divisor of the logits.
      rejection_threshold: probability below which the most probable class is not an answer; 0 with
        several labels an image.
      step: training step of the checkpoint; None if it has none.
      thresholds: of several labels an image: probability from which each class is a label.
    """

    temperature: Annotated[float, msgspec.Meta(gt=0)]
    rejection_threshold: Annotated[float, msgspec.Meta(ge=0, le=1)]
    step: _json.Step | None = None
    thresholds: tuple[Annotated[float, msgspec.Meta(ge=0, le=1)], ...] = ()


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModelInfo:
    """The properties of a trained model that evaluation, export and prediction need.

    Attributes:
      model_name: the network.
      num_classes: length of the logits.
      label_names: name of each class, by its index in the logits; empty if unknown.
      labels_offset: label of the dataset that is class 0.
      image_size: height and width, in pixels.
      num_channels: of the images.
      preprocessing_name: a name of the preprocessing table.
      use_grayscale: whether images are converted to one channel.
      moving_average_decay: of the weights' moving averages; None if there are none.
      quantized: whether its layers round weights and outputs to learned ranges.
      dataset_name: of its training data; None if unknown.
      calibration: of the probabilities; None if there is none.
      decoding: how an image file becomes the pixels that training saw; see `slim._decodings`.
      multi_label: whether an image has any number of labels: probabilities are sigmoids.
      versions: versions of the programs that wrote the file, by name.

    Raises:
      UserError: if the number of label names or thresholds differs from `num_classes`, or a name is
        not valid Unicode.
    """

    model_name: _json.Name
    num_classes: _Classes
    label_names: tuple[_json.Name, ...] = ()
    labels_offset: Annotated[int, msgspec.Meta(ge=0, le=1 << 20)] = 0
    image_size: tuple[_Side, _Side]
    num_channels: Annotated[int, msgspec.Meta(ge=1, le=64)] = 3
    preprocessing_name: _json.Name
    use_grayscale: bool = False
    moving_average_decay: Annotated[float, msgspec.Meta(ge=0, le=1)] | None = None
    quantized: bool = False
    dataset_name: _json.Name | None = None
    calibration: Calibration | None = None
    decoding: Decoding = TF_SLIM
    multi_label: bool = False
    versions: Mapping[str, _json.Name] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.label_names and len(self.label_names) != self.num_classes:
            raise _checks.UserError(
                f"label_names has {len(self.label_names)} names, but num_classes is"
                f" {self.num_classes}"
            )
        _json.check_names("label_names", self.label_names)
        thresholds = self.calibration.thresholds if self.calibration else ()
        if thresholds and len(thresholds) != self.num_classes:
            raise _checks.UserError(
                f"calibration has {len(thresholds)} thresholds, but num_classes is"
                f" {self.num_classes}"
            )

    @property
    def class_names(self) -> tuple[str, ...]:
        """Name of each class, by its index in the logits; its index if the name is unknown."""
        return self.label_names or tuple(map(str, range(self.num_classes)))

    def with_versions(self, **versions: str) -> "ModelInfo":
        """Returns a copy with the versions of the programs that write it."""
        return dataclasses.replace(self, versions=versions)

    def to_dict(self) -> dict[str, Any]:
        """Returns the values for JSON."""
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        calibration = values.pop("calibration")
        if calibration is not None:
            values["calibration"] = dataclasses.asdict(calibration)
            if not calibration.thresholds:
                del values["calibration"]["thresholds"]
        if not self.multi_label:
            del values["multi_label"]
        return values | {
            "label_names": list(self.label_names),
            "image_size": list(self.image_size),
            "versions": dict(self.versions),
        }
