"""What a trained model is, as model_info.json says it."""

import dataclasses
from collections.abc import Mapping
from typing import Annotated, Any

import msgspec

from slim import _checks, _json

_Classes = Annotated[int, msgspec.Meta(ge=1, le=1 << 20)]
_Side = Annotated[int, msgspec.Meta(ge=1, le=1 << 14)]


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModelInfo:
    """What evaluation, export and prediction need to know of a trained model.

    Attributes:
      model_name: the network.
      num_classes: length of the logits.
      label_names: name of each class, by its place in the logits; empty if not known.
      labels_offset: label of the dataset that is class 0.
      image_size: height and width, in pixels.
      num_channels: of the images.
      preprocessing_name: a name of the preprocessing table.
      use_grayscale: whether images are turned to one channel.
      moving_average_decay: of the weights' moving averages; None if the run keeps none.
      quantized: whether its layers round their weights and outputs in ranges that it learned.
      dataset_name: what it was trained on; None if not known.
      versions: program -> version that wrote this.

    Raises:
      UserError: if there are names of another number of classes, or they are not valid Unicode.
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
    versions: Mapping[str, _json.Name] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.label_names and len(self.label_names) != self.num_classes:
            raise _checks.UserError(
                f"label_names has {len(self.label_names)} names, but num_classes is"
                f" {self.num_classes}"
            )
        _json.check_names("label_names", self.label_names)

    @property
    def class_names(self) -> tuple[str, ...]:
        """Name of each class, by its place in the logits: its number where no name is known."""
        return self.label_names or tuple(map(str, range(self.num_classes)))

    def with_versions(self, **versions: str) -> "ModelInfo":
        """Returns it with the versions of the programs that write it."""
        return dataclasses.replace(self, versions=versions)

    def to_dict(self) -> dict[str, Any]:
        """Returns it as JSON has it."""
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return values | {
            "label_names": list(self.label_names),
            "image_size": list(self.image_size),
            "versions": dict(self.versions),
        }
