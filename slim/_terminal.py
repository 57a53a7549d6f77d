"""What a stream can show; no TensorFlow."""

import os
from typing import IO

BOLD, DIM, RED = "1", "2", "1;31"


def is_terminal(stream: IO[str] | None) -> bool:
    """Returns whether a stream is a terminal that can rewrite a line."""
    return stream is not None and stream.isatty() and os.environ.get("TERM") != "dumb"


def styled(text: str, style: str, stream: IO[str] | None) -> str:
    """Returns a text in a style if the stream shows colors.

    It does on a terminal, unless the variable NO_COLOR is set (https://no-color.org).

    Args:
      text: the text.
      style: `BOLD`, `DIM` or `RED`.
      stream: where the text is printed.
    """
    if not is_terminal(stream) or os.environ.get("NO_COLOR"):
        return text
    return f"\x1b[{style}m{text}\x1b[0m"
