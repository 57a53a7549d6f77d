"""Fills the template files of the page; text from data is escaped."""

import functools
import html
import pathlib
import string
from collections.abc import Iterable, Mapping

from slim import _json

_DIRECTORY = pathlib.Path(__file__).parent / "templates"


class Html(str):
    """Text that is HTML; other text is escaped when it is filled in."""

    __slots__ = ()


def fill(name: str, /, **values: object) -> Html:
    """Returns a template with its `$placeholders` filled.

    Args:
      name: file name of the template.
      **values: values of the placeholders; all but `Html` are escaped.

    Raises:
      KeyError: if a placeholder has no value.
    """
    return Html(_template(name).substitute({key: escape(each) for key, each in values.items()}))


def fill_each(name: str, rows: Iterable[Mapping[str, object]]) -> Html:
    """Returns a template once for each mapping of values."""
    return Html("".join(fill(name, **row) for row in rows))


def escape(value: object) -> Html:
    """Returns a value as HTML text, also for attributes, without control characters."""
    if isinstance(value, Html):
        return value
    return Html(html.escape(_json.printable(str(value))))


def read(name: str) -> str:
    """Returns the content of a file of the page."""
    return (_DIRECTORY / name).read_text(encoding="utf-8")


@functools.cache
def _template(name: str) -> string.Template:
    return string.Template(read(name).strip())
