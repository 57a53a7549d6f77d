"""The names of the classes, as a text file beside the model."""

import os

from classifier.model_info import ModelInfo
from slim import _paths


def write(info: ModelInfo, output_dir: str) -> str | None:
    """Writes `labels.txt`: a line for each place in the logits.

    Args:
      info: the model.
      output_dir: an existing folder.

    Returns:
      The path, or None where the names are not known.
    """
    if not info.label_names:
        return None
    path = os.path.join(output_dir, "labels.txt")
    lines = (" ".join(name.split()) for name in info.label_names)
    _paths.write_atomically(path, "".join(f"{line}\n" for line in lines).encode())
    return path
