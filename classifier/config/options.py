"""Options: a field of a dataclass is a flag, with its default, its help and what it may be.

A group is a frozen subclass of `Options`; a configuration is a group itself or a frozen dataclass
of groups.
"""

import dataclasses
import math
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal, TypeVar

from slim import _checks

C = TypeVar("C")

# `classifier.flags` looks at tables and at the disk; making a configuration does not.
Table = Literal["networks", "datasets", "conversions", "preprocessings"]
PathKind = Literal["folder", "new_folder", "new_file", "checkpoint", "images"]
# A change of the option when a run is resumed is listed, is refused, or is nothing to speak of.
Resume = Literal["listed", "refused", "free"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Declaration:
    """What a field says about its option; the arguments of `option`."""

    help: str
    choices: tuple[str, ...] = ()
    check: Callable[..., None] | None = None
    table: Table | None = None
    path: PathKind | None = None
    path_unless_begun: str | None = None
    resume: Resume = "listed"


def option(default: Any, help: str, **declaration: Any) -> Any:
    """Declares an option; without a default, use `required`.

    Args:
      default: used when the flag is not given; None means that it is decided later.
      help: one or two sentences, with the unit.
      **declaration: the other fields of `Declaration`: `choices` (of a string or of each item of a
        list), `check` (a function of `slim._checks` that takes the value by name), `table` (the
        value is a name of that table), `path` (what has to be on the disk), `path_unless_begun` (an
        option whose folder holds a run's checkpoints where that is no longer needed) and `resume`.
    """
    return dataclasses.field(
        default=default, metadata={"option": Declaration(help=help, **declaration)}
    )


def required(help: str, **declaration: Any) -> Any:
    """Declares an option that has to be given; arguments as in `option`."""
    return dataclasses.field(metadata={"option": Declaration(help=help, **declaration)})


@dataclasses.dataclass(frozen=True)
class Option:
    """One option: what its field declares, and the type of its values.

    Attributes:
      name: of the field and of the flag.
      kind: `bool`, `int`, `float`, `str`, a tuple of any number of one of the last three, or
        `tuple[int, int]`.
      optional: whether None is a value.
      default: `dataclasses.MISSING` if it has to be given.
      declared: the rest.
    """

    name: str
    kind: Any
    optional: bool
    default: Any
    declared: Declaration

    @property
    def required(self) -> bool:
        """Whether there is no default."""
        return self.default is dataclasses.MISSING

    def problems(self, value: Any, name: str | None = None) -> Iterator[str]:
        """Yields what is wrong with a value; `name` is how the messages call the option."""
        if value is None and self.optional:
            return
        name = name or self.name
        items = value if isinstance(value, tuple) else (value,)
        try:
            for item in items if self.declared.choices else ():
                _checks.one_of(name, item, self.declared.choices)
            if self.declared.check:
                self.declared.check(**{name: value})
        except _checks.UserError as error:
            yield str(error)
        if any(isinstance(item, str) and not item.strip() for item in items):
            yield f"{name}={self.shown(value)!r} has an empty item (a blank after a comma?)"

    def parse(self, text: str) -> Any:
        """Returns the value that a text stands for; an empty text is None where None is a value.

        Raises:
          UserError: if the text is not of the option's kind; the message starts with what is wrong.
        """
        if not text and self.optional:
            return None
        if not text and typing.get_args(self.kind)[1:] == (...,):
            return ()
        read, meaning = _READERS[self.kind]
        try:
            return read(text)
        except ValueError:
            raise _checks.UserError(f"{text!r} is not {meaning}") from None

    @staticmethod
    def shown(value: Any) -> str:
        """Returns a value as one would type it."""
        if isinstance(value, bool):
            return str(value).lower()
        return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


class Options:
    """Base of the groups: a frozen dataclass that refuses nonsense."""

    def __post_init__(self) -> None:
        problems = [
            problem
            for each in options_of(type(self))
            for problem in each.problems(getattr(self, each.name))
        ]
        problems = problems or list(self.conflicts())
        if problems:
            raise _checks.UserError("\n".join(problems))

    def conflicts(self) -> Iterator[str]:
        """Yields what is wrong between options that are each in order."""
        return iter(())

    def is_changed(self, name: str) -> bool:
        """Returns whether an option has another value than its default."""
        return bool(getattr(self, name) != getattr(type(self), name))


@dataclasses.dataclass(frozen=True)
class Group:
    """The options of one group.

    Attributes:
      attribute: of the configuration; empty if the configuration is the group.
      title: for the help.
      options: in the order of the fields.
      type: the class.
    """

    attribute: str
    title: str
    options: tuple[Option, ...]
    type: type[Options]


def options_of(group: type[Options]) -> tuple[Option, ...]:
    """Returns the options of a group in the order of its fields."""
    hints = typing.get_type_hints(group)
    found = []
    for field in dataclasses.fields(group):  # type: ignore[arg-type]
        members = typing.get_args(hints[field.name])
        optional = isinstance(hints[field.name], types.UnionType) and type(None) in members
        kind = members[0] if optional else hints[field.name]
        declared = field.metadata["option"]
        found.append(Option(field.name, kind, optional, field.default, declared))
    return tuple(found)


def groups_of(config_class: type) -> tuple[Group, ...]:
    """Returns the groups of a configuration; a group's docstring is its title."""
    if issubclass(config_class, Options):
        types_of: dict[str, type[Options]] = {"": config_class}
    else:
        types_of = typing.get_type_hints(config_class)
    return tuple(
        Group(name, (cls.__doc__ or "").splitlines()[0].rstrip("."), options_of(cls), cls)
        for name, cls in types_of.items()
    )


def by_name(config_class: type) -> dict[str, Option]:
    """Returns all options of a configuration by name."""
    return {each.name: each for group in groups_of(config_class) for each in group.options}


def build(config_class: type[C], **values: Any) -> C:
    """Makes a configuration from its options.

    Args:
      config_class: the configuration.
      **values: options by name, whichever group they are in; the others keep their defaults.

    Raises:
      UserError: one line for each option that is not known, is missing or has a wrong value.
    """
    known = by_name(config_class)
    problems = [_unknown(name, known) for name in values if name not in known]
    problems += [
        f"{name} is required: {each.declared.help}"
        for name, each in known.items()
        if each.required and name not in values
    ]
    parts: dict[str, Any] = {}
    for group in groups_of(config_class) if not problems else ():
        given = {each.name: values[each.name] for each in group.options if each.name in values}
        try:
            parts[group.attribute] = group.type(**given)
        except _checks.UserError as error:
            problems.append(str(error))
    if problems:
        raise _checks.UserError("\n".join(problems))
    return parts[""] if "" in parts else config_class(**parts)


def _unknown(name: str, known: Mapping[str, Option]) -> str:
    return f"{name} is not an option{_checks.suggest(name, known)}"


def flatten(config: Any) -> dict[str, Any]:
    """Returns the options of a configuration by name, as JSON has them (lists for tuples)."""
    values = {}
    for group in groups_of(type(config)):
        part = getattr(config, group.attribute) if group.attribute else config
        for each in group.options:
            value = getattr(part, each.name)
            values[each.name] = list(value) if isinstance(value, tuple) else value
    return values


def _read_bool(text: str) -> bool:
    if text.lower() in ("true", "t", "1"):
        return True
    if text.lower() in ("false", "f", "0"):
        return False
    raise ValueError(text)


def _read_float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(text)
    return value


def _read_list(text: str) -> tuple[str, ...]:
    return tuple(item.strip() for item in text.split(","))


def _read_floats(text: str) -> tuple[float, ...]:
    return tuple(map(_read_float, text.split(",")))


def _read_ints(text: str) -> tuple[int, ...]:
    return tuple(int(item, 10) for item in text.split(","))


def _read_size(text: str) -> tuple[int, int]:
    height, *width = (int(side) for side in text.split(","))
    if len(width) > 1:
        raise ValueError(text)
    return height, (width or [height])[0]


_READERS: Mapping[Any, tuple[Callable[[str], Any], str]] = {
    bool: (_read_bool, "true or false"),
    int: (lambda text: int(text, 10), "a whole number"),
    float: (_read_float, "a number"),
    str: (str, "a text"),
    tuple[str, ...]: (_read_list, "a list of names"),
    tuple[float, ...]: (_read_floats, "a list of numbers separated by commas"),
    tuple[int, ...]: (_read_ints, "a list of whole numbers separated by commas"),
    tuple[int, int]: (_read_size, "a size such as 224 or 224,192 (height,width)"),
}
