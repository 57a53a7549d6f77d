"""The files of a run directory that say what the run is; `slim.checkpoints` has the others."""

import dataclasses
import json
import os
from collections.abc import Mapping
from typing import Any

from classifier.model_info import ModelInfo
from slim import _checks, _paths

CONFIG_FILE = "config.json"
MODEL_INFO_FILE = "model_info.json"
METRICS_FILE = "metrics.jsonl"


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
