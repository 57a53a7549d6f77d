"""What a trained model is, as model_info.json says it."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from slim import _checks


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
    """

    model_name: str
    num_classes: int
    label_names: tuple[str, ...] = ()
    labels_offset: int = 0
    image_size: tuple[int, int]
    num_channels: int = 3
    preprocessing_name: str
    use_grayscale: bool = False
    moving_average_decay: float | None = None
    quantized: bool = False
    dataset_name: str | None = None
    versions: Mapping[str, str] = dataclasses.field(default_factory=dict)

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

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "ModelInfo":
        """Returns what `to_dict` gave; fields of later versions are left out.

        Raises:
          UserError: if a field is missing or has another kind of value.
        """
        known = {f.name: values[f.name] for f in dataclasses.fields(cls) if f.name in values}
        try:
            for name in known.keys() & {"label_names", "image_size"}:
                known[name] = tuple(known[name])
            return cls(**known)
        except TypeError as error:
            raise _checks.UserError(f"not what describes a model: {error}") from None
