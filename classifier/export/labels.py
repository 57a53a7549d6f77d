"""The class names, as a text file in the directory of an export."""

import os

from classifier.model_info import ModelInfo
from slim import _paths

FILE = "labels.txt"


def content(info: ModelInfo) -> bytes | None:
    """Returns one line per position in the logits; None if the names are unknown."""
    if not info.label_names:
        return None
    return "".join(f"{' '.join(name.split())}\n" for name in info.label_names).encode()


def write(info: ModelInfo, output_dir: str) -> str | None:
    """Writes `labels.txt`.

    Args:
      info: the model.
      output_dir: an existing directory.

    Returns:
      The path, or None if the names are unknown.
    """
    lines = content(info)
    if lines is None:
        return None
    path = os.path.join(output_dir, FILE)
    _paths.write_atomically(path, lines)
    return path
