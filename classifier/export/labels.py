"""The class names, as a text file in the directory of an export."""

import os

from classifier.model_info import ModelInfo
from slim import _paths


def write(info: ModelInfo, output_dir: str) -> str | None:
    """Writes `labels.txt`: one line per position in the logits.

    Args:
      info: the model.
      output_dir: an existing directory.

    Returns:
      The path, or None if the names are unknown.
    """
    if not info.label_names:
        return None
    path = os.path.join(output_dir, "labels.txt")
    lines = (" ".join(name.split()) for name in info.label_names)
    _paths.write_atomically(path, "".join(f"{line}\n" for line in lines).encode())
    return path
