"""The texts beside this file, which stand in the model card for users to copy."""

import pathlib
import string

_FOLDER = pathlib.Path(__file__).parent


def exists(name: str) -> bool:
    """Returns whether there is a text of this name."""
    return (_FOLDER / name).is_file()


def fill(name: str, /, **values: object) -> str:
    """Returns a text with its `$placeholders` filled, without a line's end at its own.

    Args:
      name: of the file.
      **values: of the placeholders; others are not looked at.

    Raises:
      KeyError: if a placeholder has no value.
    """
    text = string.Template((_FOLDER / name).read_text(encoding="utf-8"))
    return text.substitute(values).rstrip("\n")
