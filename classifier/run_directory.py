"""The files of a run directory that say what the run is; `slim.checkpoints` has the others."""

import dataclasses
import json
import os
from collections.abc import Mapping
from typing import Annotated, Any, Required, TypedDict, TypeVar

import msgspec

from slim import _checks, _json, _paths

T = TypeVar("T")

CONFIG_FILE = "config.json"
MODEL_INFO_FILE = "model_info.json"
METRICS_FILE = "metrics.jsonl"
_CONFIG_ADVICE = "Restore it from a copy, or remove it to resume without comparing the options"
_MODEL_INFO_ADVICE = "Restore it from a copy, or resume the training run, which writes it again"

_Classes = Annotated[int, msgspec.Meta(ge=1, le=1 << 20)]
_Side = Annotated[int, msgspec.Meta(ge=1, le=1 << 14)]


class RunConfig(TypedDict, total=False):
    """What config.json holds: the options by name, and what follows from them."""

    options: Required[dict[str, Any]]
    resolved: dict[str, Any]


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


@dataclasses.dataclass(frozen=True)
class RunDirectory:
    """A folder with a run's files; nothing is made or read until asked for."""

    path: str

    @classmethod
    def of_checkpoint(cls, checkpoint_path: str) -> "RunDirectory":
        """Returns the run directory that a checkpoint (a folder, a prefix, a file) belongs to."""
        if os.path.isdir(checkpoint_path):
            return cls(checkpoint_path)
        return cls(os.path.dirname(checkpoint_path) or ".")

    @property
    def metrics_path(self) -> str:
        """One JSON object a line: what the log lines and the evaluations say."""
        return os.path.join(self.path, METRICS_FILE)

    @property
    def model_info_path(self) -> str:
        """What evaluation, export and prediction need to know of the model."""
        return os.path.join(self.path, MODEL_INFO_FILE)

    def read_config(self, schema: type[T] = RunConfig) -> T | None:  # type: ignore[assignment]
        """Returns what `write_config` wrote, or None.

        Args:
          schema: what to read of it.

        Raises:
          UserError: if the file is damaged.
        """
        path = os.path.join(self.path, CONFIG_FILE)
        return _json.read(path, schema, advice=_CONFIG_ADVICE, finite=False)

    def write_config(self, resolved: Mapping[str, Any]) -> None:
        """Writes config.json: `resolve.ResolvedRun.to_dict()`."""
        write_json(os.path.join(self.path, CONFIG_FILE), resolved)

    def read_model_info(self) -> ModelInfo | None:
        """Returns what `write_model_info` wrote, or None.

        Raises:
          UserError: if the file is damaged.
        """
        return _json.read(self.model_info_path, ModelInfo, advice=_MODEL_INFO_ADVICE)

    def write_model_info(self, info: ModelInfo) -> None:
        """Writes model_info.json."""
        write_json(self.model_info_path, info.to_dict())


def write_json(path: str, values: Mapping[str, Any]) -> None:
    """Writes an object as JSON, whole or not at all."""
    text = json.dumps(values, indent=2, ensure_ascii=False) + "\n"
    # A path that is not UTF-8 is written with JSON's own escapes.
    _paths.write_atomically(path, text.encode("utf-8", "backslashreplace"))
