"""Errors in options; see `slim._problems` for how a sentence names an option."""

from slim import _checks
from slim._problems import Mention, Problem, as_flags, named, shown

__all__ = ["Mention", "OptionError", "Problem", "as_flags", "error", "named", "shown"]


class OptionError(_checks.UserError):
    """A mistake in options, of one or more problems.

    Attributes:
      problems: the sentences.
      as_flags: the message for a command line.
    """

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems
        self.as_flags = "\n".join(map(as_flags, problems))


def error(template: str, *parts: object) -> OptionError:
    """Returns the error of one problem; arguments as of `Problem`."""
    return OptionError(Problem(template, *parts))
