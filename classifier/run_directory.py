"""The files of a run directory that say what the run is; `slim.checkpoints` has the others."""

import dataclasses
import json
import os
from collections.abc import Mapping
from typing import Any

from slim import _checks, _paths

CONFIG_FILE = "config.json"
MODEL_INFO_FILE = "model_info.json"
METRICS_FILE = "metrics.jsonl"


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

    def read_config(self) -> dict[str, Any] | None:
        """Returns what `write_config` wrote, or None.

        Raises:
          UserError: if the file is damaged.
        """
        return read_json(os.path.join(self.path, CONFIG_FILE))

    def write_config(self, resolved: Mapping[str, Any]) -> None:
        """Writes config.json: `resolve.ResolvedRun.to_dict()`."""
        write_json(os.path.join(self.path, CONFIG_FILE), resolved)

    def read_model_info(self) -> ModelInfo | None:
        """Returns what `write_model_info` wrote, or None.

        Raises:
          UserError: if the file is damaged.
        """
        path = os.path.join(self.path, MODEL_INFO_FILE)
        values = read_json(path)
        try:
            return None if values is None else ModelInfo.from_dict(values)
        except _checks.UserError as error:
            raise _checks.UserError(f"{path}: {error}") from None

    def write_model_info(self, info: ModelInfo) -> None:
        """Writes model_info.json."""
        write_json(os.path.join(self.path, MODEL_INFO_FILE), info.to_dict())


def read_json(path: str) -> dict[str, Any] | None:
    """Returns the object in a JSON file, or None if there is no such file.

    Raises:
      UserError: if the file does not hold a JSON object.
    """
    try:
        with open(path, encoding="utf-8") as file:
            values = json.load(file)
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise _checks.UserError(f"{path} is damaged ({error}); remove or restore it") from None
    if not isinstance(values, dict):
        raise _checks.UserError(f"{path} does not hold a JSON object; remove or restore it")
    return values


def write_json(path: str, values: Mapping[str, Any]) -> None:
    """Writes an object as JSON, whole or not at all."""
    text = json.dumps(values, indent=2, ensure_ascii=False) + "\n"
    _paths.write_atomically(path, text.encode())
