"""The configuration that `--dry_run` prints: each option with the origin of its value."""

import sys
from collections.abc import Iterator, Mapping
from typing import Any

from classifier.config import options, problems
from slim import _json, _terminal

DEFAULT = "default"
_MAX_WIDTH, _ALIGNED = 60, 32  # of a value, in characters


class Origins:
    """The options of a command, each with the origin of its value.

    Args:
      config: the options.
      origins: origin of the options that are set, by name; the others have their defaults.
    """

    def __init__(self, config: Any, origins: Mapping[str, str]) -> None:
        self._groups = options.groups_of(type(config))
        self._known = options.by_name(type(config))
        self._values = options.flatten(config)
        self._origins = {name: origins.get(name, DEFAULT) for name in self._values}
        self._resolved: dict[str, tuple[Any, str]] = {}

    def follow(self, config: Any, origin: str) -> None:
        """Takes over the options that a step has changed.

        Args:
          config: the options after it.
          origin: what has changed them.
        """
        self.update(origin, options.flatten(config))

    def update(self, origin: str, values: Mapping[str, Any]) -> None:
        """Replaces values of options that differ; other names and None are ignored."""
        for name, value in values.items():
            value = list(value) if isinstance(value, tuple) else value
            if name in self._values and value is not None and value != self._values[name]:
                self._values[name], self._origins[name] = value, origin

    def add(self, origin: str, **values: Any) -> None:
        """Adds values that are resolved from the options and are not options."""
        self._resolved |= {name: (value, origin) for name, value in values.items()}

    def lines(self) -> Iterator[str]:
        """Yields a line per value, by group: name, value, origin."""
        width = max(map(len, [*self._values, *self._resolved])) + 2
        for group in self._groups:
            yield _terminal.styled(f"{group.title}:", _terminal.BOLD, sys.stdout)
            for name in (each.name for each in group.options):
                value = self._values[name]
                is_auto = self._known[name].has_auto and value == self._known[name].declared.auto
                shown = "auto" if is_auto else _shown(value)
                line = f"  {f'--{name}':<{width}}  {shown:<{_ALIGNED}}  {self._origins[name]}"
                is_default = self._origins[name] == DEFAULT
                yield _terminal.styled(line, _terminal.DIM, sys.stdout) if is_default else line
        if self._resolved:
            yield _terminal.styled("Resolved:", _terminal.BOLD, sys.stdout)
        for name, (value, origin) in self._resolved.items():
            yield f"  {name:<{width}}  {_shown(value):<{_ALIGNED}}  {origin}"


def _shown(value: Any) -> str:
    if value is None or value in ([], ()):
        return "none"
    text = _json.printable(problems.shown(value))
    return text if len(text) <= _MAX_WIDTH else f"{text[: _MAX_WIDTH - 3]}..."
