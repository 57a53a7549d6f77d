"""The JSON files of a run directory; `slim.checkpoints` handles the checkpoints."""

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
BEST = "best"
_CONFIG_ADVICE = "Restore it from a copy, or remove it to resume without comparing the options"
_MODEL_INFO_ADVICE = "Restore it from a copy, or resume the training run, which writes it again"


class RunConfig(TypedDict, total=False):
    """Content of config.json: the options by name, and the values resolved from them."""

    options: Required[dict[str, Any]]
    resolved: dict[str, Any]


@dataclasses.dataclass(frozen=True)
class RunDirectory:
    """A directory with a run's files; creating this object does not access it."""

    path: str

    @classmethod
    def of_checkpoint(cls, checkpoint_path: str) -> "RunDirectory":
        """Returns the run directory of a checkpoint (a directory, a prefix or a file)."""
        if os.path.isdir(checkpoint_path):
            return cls(checkpoint_path)
        return cls(os.path.dirname(checkpoint_path) or ".")

    @property
    def metrics_path(self) -> str:
        """Path of the metrics: one JSON object per line."""
        return os.path.join(self.path, METRICS_FILE)

    @property
    def model_info_path(self) -> str:
        """Path of the model info."""
        return os.path.join(self.path, MODEL_INFO_FILE)

    def parent_run(self) -> "RunDirectory":
        """Returns the run that the directory belongs to: `best` is a subdirectory of a run."""
        if (
            not os.path.exists(self.metrics_path)
            and os.path.basename(self.path.rstrip("/")) == BEST
        ):
            return RunDirectory(os.path.dirname(os.path.abspath(self.path)))
        return self

    def read_config(self, schema: type[T] = RunConfig) -> T | None:  # type: ignore[assignment]
        """Returns the content of config.json, or None if there is none.

        Args:
          schema: of the part to read.

        Raises:
          UserError: if the file is damaged.
        """
        path = os.path.join(self.path, CONFIG_FILE)
        return _json.read(path, schema, advice=_CONFIG_ADVICE, finite=False)

    def write_config(self, resolved: Mapping[str, Any]) -> None:
        """Writes config.json: `resolve.ResolvedRun.to_dict()`."""
        write_json(os.path.join(self.path, CONFIG_FILE), resolved)

    def read_model_info(self) -> ModelInfo | None:
        """Returns the content of model_info.json, or None if there is none.

        Raises:
          UserError: if the file is damaged.
        """
        return _json.read(self.model_info_path, ModelInfo, advice=_MODEL_INFO_ADVICE)

    def write_model_info(self, info: ModelInfo) -> None:
        """Writes model_info.json."""
        write_json(self.model_info_path, info.to_dict())


def write_json(path: str, values: Mapping[str, Any]) -> None:
    """Writes an object as JSON, atomically."""
    text = json.dumps(values, indent=2, ensure_ascii=False) + "\n"
    # A path that is not UTF-8 is written with JSON's own escapes.
    _paths.write_atomically(path, text.encode("utf-8", "backslashreplace"))
