"""What `--help` prints."""

import textwrap
from collections.abc import Callable, Iterable, Iterator

from classifier.config import options

_WIDTH = 96
_KINDS = {
    bool: "",
    int: "INT",
    float: "NUMBER",
    str: "TEXT",
    tuple[str, ...]: "A,B",
    tuple[int, ...]: "1,2",
    tuple[float, ...]: "0.1,0.2",
    tuple[int, int]: "SIZE",
}


def render(
    config_class: type,
    program: str,
    description: str,
    known_names: Callable[[options.Table], Iterable[str]],
) -> str:
    """Returns the help of a script: its flags by group, with defaults and choices.

    Args:
      config_class: the options.
      program: name of the script.
      description: what it is for.
      known_names: table -> the names in it.
    """
    groups = options.groups_of(config_class)
    required = [each for group in groups for each in group.options if each.required]
    usage = " ".join([program, *(_usage(each) for each in required), "[--flag=value ...]"])
    lines = [description.strip(), "", f"usage: {usage}"]
    for group in groups:
        lines += ["", f"{group.title}:"]
        for each in group.options:
            lines += _entry(each, known_names)
    lines += ["", "Other:", "  --flagfile=FILE", "      File with one flag a line.", "  --help"]
    return "\n".join(lines)


def _usage(option: options.Option) -> str:
    kind = option.declared.path or _KINDS[option.kind]
    return f"--{option.name}={kind.removeprefix('new_').upper()}"


def _entry(
    option: options.Option, known_names: Callable[[options.Table], Iterable[str]]
) -> Iterator[str]:
    if option.kind is bool:
        yield f"  --[no]{option.name}{_default(option)}"
    else:
        yield f"  {_usage(option)}{_default(option)}"
    text = option.declared.help
    choices = option.declared.choices
    if option.declared.table:
        choices = tuple(known_names(option.declared.table))
    if choices:
        text += f" Known: {', '.join(choices)}."
    yield from textwrap.wrap(
        text, _WIDTH, initial_indent=" " * 6, subsequent_indent=" " * 6, break_on_hyphens=False
    )


def _default(option: options.Option) -> str:
    if option.required:
        return " (required)"
    if option.default is None or option.default == ():
        return ""
    return f" (default: {option.shown(option.default)})"
