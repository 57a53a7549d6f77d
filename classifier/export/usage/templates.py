"""The template files of this directory: texts and sample code of the model card."""

import pathlib
import string

_DIRECTORY = pathlib.Path(__file__).parent


def exists(name: str) -> bool:
    """Returns whether a template exists."""
    return (_DIRECTORY / name).is_file()


def fill(name: str, /, **values: object) -> str:
    """Returns a template with its `$placeholders` filled, without a trailing newline.

    Args:
      name: file name of the template.
      **values: values of the placeholders; unknown names are ignored.

    Raises:
      KeyError: if a placeholder has no value.
    """
    text = string.Template((_DIRECTORY / name).read_text(encoding="utf-8"))
    return text.substitute(values).rstrip("\n")
