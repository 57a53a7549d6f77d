"""The files of a run directory that say what the run is; `slim.checkpoints` has the others."""

import dataclasses
import json
import os
from collections.abc import Mapping
from typing import Any, Required, TypedDict, TypeVar

from classifier.model_info import ModelInfo
from slim import _json, _paths

T = TypeVar("T")

CONFIG_FILE = "config.json"
MODEL_INFO_FILE = "model_info.json"
METRICS_FILE = "metrics.jsonl"
_CONFIG_ADVICE = "Restore it from a copy, or remove it to resume without comparing the options"
_MODEL_INFO_ADVICE = "Restore it from a copy, or resume the training run, which writes it again"


class RunConfig(TypedDict, total=False):
    """What config.json holds: the options by name, and what follows from them."""

    options: Required[dict[str, Any]]
    resolved: dict[str, Any]


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
