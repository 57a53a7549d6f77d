"""Options: a field of a dataclass is a flag, with its default, its help and its bounds.

A group is a frozen subclass of `Options`; a configuration is a group or a frozen dataclass of
groups.
"""

import dataclasses
import math
import os
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal, TypeVar

from classifier.config.problems import OptionError, Problem, named, shown
from slim import _checks

C = TypeVar("C")

# `classifier.cli.flags` checks names and paths; a configuration itself does not.
Table = Literal["networks", "datasets", "conversions", "preprocessings"]
PathKind = Literal[
    "dataset",
    "directory",
    "new_directory",
    "new_dataset",
    "file",
    "new_file",
    "checkpoint",
    "checkpoints",
    "model",
    "images",
]
# A resumed run logs a change of the option, does not support it, or ignores it.
Resume = Literal["listed", "refused", "free"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Declaration:
    """The declaration of an option: the arguments of `option`."""

    help: str
    choices: tuple[str, ...] = ()
    check: Callable[..., None] | None = None
    table: Table | None = None
    path: PathKind | None = None
    path_unless_resuming: str | None = None
    path_unless: str | None = None
    resume: Resume = "listed"
    aliases: tuple[str, ...] = ()
    tf_slim: Any = None
    positional: bool = False
    repeated: bool = False
    auto: Any = None


def option(default: Any, help: str, **declaration: Any) -> Any:
    """Declares an option; without a default, use `required`.

    Args:
      default: value of an option that is not set; None is resolved later.
      help: one or two sentences, with the unit; the meaning of a default None.
      **declaration: the other fields of `Declaration`: `choices` (of a string or of each item of a
        list), `check` (a function that accepts the value by name and raises UserError), `table`
        (the value is a name of that table), `path` (what must exist on disk),
        `path_unless_resuming` (an option with a run's directory; when that run is resumed, the path
        need not exist), `path_unless` (an option; if it is true, the path need not exist),
        `resume`, `aliases` (other names of the flag), `tf_slim` (TF-Slim's default where it
        differs), `positional` (whether its value may stand without a flag), `repeated` (whether
        each occurrence of the flag is an item of the tuple, as it is) and `auto` (the value that
        stands for the text auto; it is out of bounds otherwise).
    """
    return dataclasses.field(
        default=default, metadata={"option": Declaration(help=help, **declaration)}
    )


def required(help: str, **declaration: Any) -> Any:
    """Declares an option that must be set; arguments as in `option`."""
    return dataclasses.field(metadata={"option": Declaration(help=help, **declaration)})


@dataclasses.dataclass(frozen=True)
class Option:
    """One option: its declaration and the type of its values.

    Attributes:
      name: of the field and of the flag.
      kind: `bool`, `int`, `float`, `str`, a tuple of any number of one of the last three, or
        `tuple[int, int]`.
      optional: whether None is a value.
      default: `dataclasses.MISSING` if it must be set.
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

    @property
    def has_auto(self) -> bool:
        """Whether the text auto is a value."""
        return self.declared.auto is not None

    def problems(self, value: Any, name: str | None = None) -> Iterator[str]:
        """Yields what is wrong with a value; messages call the option `name`."""
        if (value is None and self.optional) or (self.has_auto and value == self.declared.auto):
            return
        name = name or self.name
        items = value if isinstance(value, tuple) else (value,)
        try:
            if self.declared.check:
                self.declared.check(**{name: value})
            for item in items if self.declared.choices else ():
                _checks.one_of(name, item, self.declared.choices)
        except _checks.UserError as error:
            yield str(error)
        if any(isinstance(item, str) and not item.strip() for item in items):
            yield f"{name}={shown(value)!r} has an empty item (a space after a comma?)"

    def parse(self, argument: str) -> Any:
        """Returns the value of a text; an empty text is None where None is a value.

        A `~` at the start of a text is expanded: only paths start with it.

        Raises:
          UserError: if the text is not of the option's kind; the message starts with the text.
        """
        if not argument and self.optional:
            return None
        if not argument and typing.get_args(self.kind)[1:] == (...,):
            return ()
        if self.has_auto and argument == "auto":
            return self.declared.auto
        read, meaning = _READERS[self.kind]
        meaning += " or auto" if self.has_auto else ""
        try:
            value = read(argument)
        except ValueError:
            raise _checks.UserError(f"{argument!r} is not {meaning}") from None
        if self.has_auto and value == self.declared.auto:
            raise _checks.UserError(
                f"{argument!r} is out of range. To choose automatically, pass auto"
            )
        return value


class Options:
    """Base of the groups: a frozen dataclass that checks its values."""

    def __post_init__(self) -> None:
        problems = [
            problem
            for each in options_of(type(self))
            for problem in each.problems(getattr(self, each.name))
        ]
        problems = problems or list(self.conflicts())
        if problems:
            raise OptionError(*problems)

    def conflicts(self) -> Iterator[Problem]:
        """Yields contradictions between options that are each valid."""
        return iter(())

    def is_changed(self, name: str) -> bool:
        """Returns whether an option differs from its default."""
        return bool(getattr(self, name) != getattr(type(self), name))


@dataclasses.dataclass(frozen=True)
class Group:
    """The options of one group.

    Attributes:
      attribute: attribute of the configuration; empty if the configuration is the group.
      title: title in the help.
      options: options in the order of the fields.
      type: class of the group.
    """

    attribute: str
    title: str
    options: tuple[Option, ...]
    type: type[Options]


def options_of(group: type[Options]) -> tuple[Option, ...]:
    """Returns the options of a group in the order of its fields."""
    hints = typing.get_type_hints(group)
    options = []
    for field in dataclasses.fields(group):  # type: ignore[arg-type]
        members = typing.get_args(hints[field.name])
        optional = isinstance(hints[field.name], types.UnionType) and type(None) in members
        kind = members[0] if optional else hints[field.name]
        declared = field.metadata["option"]
        options.append(Option(field.name, kind, optional, field.default, declared))
    return tuple(options)


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
    """Returns a configuration.

    Args:
      config_class: the configuration.
      **values: options by name, of any group; the others keep their defaults.

    Raises:
      OptionError: one line per option that is unknown, missing or invalid.
    """
    known = by_name(config_class)
    problems = [_unknown(name, known) for name in values if name not in known]
    problems += [
        Problem("{} is required: {}", named(name), each.declared.help)
        for name, each in known.items()
        if each.required and name not in values
    ]
    parts: dict[str, Any] = {}
    for group in groups_of(config_class) if not problems else ():
        arguments = {each.name: values[each.name] for each in group.options if each.name in values}
        try:
            parts[group.attribute] = group.type(**arguments)
        except OptionError as error:
            problems += error.problems
    if problems:
        raise OptionError(*problems)
    return parts[""] if "" in parts else config_class(**parts)


def _unknown(name: str, known: Mapping[str, Option]) -> str:
    return f"Unknown option {name}{_checks.suggest(name, known)}"


def flatten(config: Any) -> dict[str, Any]:
    """Returns the options of a configuration by name, as in JSON (lists for tuples)."""
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


def _read_text(text: str) -> str:
    return os.path.expanduser(text)


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
    int: (lambda text: int(text, 10), "an integer"),
    float: (_read_float, "a number"),
    str: (_read_text, "a text"),
    tuple[str, ...]: (_read_list, "a list of names"),
    tuple[float, ...]: (_read_floats, "a list of numbers separated by commas"),
    tuple[int, ...]: (_read_ints, "a list of integers separated by commas"),
    tuple[int, int]: (_read_size, "a size such as 224 or 224,192 (height,width)"),
}
