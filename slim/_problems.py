"""Sentences about options, which name each option the way it was set.

Python code sets `batch_size=0`, a command line `--batch_size=0`. A sentence is written once and has
both forms.
"""

from typing import Any, Self


class Mention(str):
    """An option in a sentence: `name`, or `name=value`."""

    @property
    def as_flags(self) -> str:
        """The option as a flag."""
        return f"--{self}"


def named(name: str, *value: Any) -> Mention:
    """Returns the mention of an option, with its value if there is one.

    Args:
      name: the option.
      *value: at most one value; True needs no text.
    """
    if not value or value[0] is True:
        return Mention(name)
    return Mention(f"{name}={shown(value[0])}")


def shown(value: Any) -> str:
    """Returns a value as a command line has it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:g}"
    return ",".join(map(str, value)) if isinstance(value, tuple | list) else str(value)


class Problem(str):
    """A sentence about options; as a string it names them as Python code does.

    Attributes:
      as_flags: the same sentence for a command line.
    """

    as_flags: str

    def __new__(cls, template: str, *parts: object) -> Self:
        """Fills the `{}` of a template with mentions, problems and other values."""
        problem = super().__new__(cls, template.format(*parts))
        problem.as_flags = template.format(*(getattr(part, "as_flags", part) for part in parts))
        return problem


def as_flags(text: object) -> str:
    """Returns a mention, a problem, an error or any other text as a command line shows it."""
    if isinstance(text, Exception) and len(text.args) == 1 and not hasattr(text, "as_flags"):
        text = text.args[0]
    return str(getattr(text, "as_flags", text))
