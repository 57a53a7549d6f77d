"""The text of `--help`."""

import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping

from classifier.cli import absl_flags
from classifier.config import options, problems
from slim import _terminal

_WIDTH = 96
_KINDS = {
    bool: "",
    int: "INT",
    float: "FLOAT",
    str: "TEXT",
    tuple[str, ...]: "A,B",
    tuple[int, ...]: "1,2",
    tuple[float, ...]: "0.1,0.2",
    tuple[int, int]: "SIZE",
}
ABSL: Mapping[str, Mapping[str, str]] = {
    "Log (absl)": absl_flags.LOGGING,
    "Debugging (absl)": absl_flags.RUNNING,
    "Other": absl_flags.READING,
}

Names = Callable[[options.Table], Iterable[str]]


def render(config_class: type, program: str, description: str, known_names: Names) -> str:
    """Returns the help of a script: its flags by group, with defaults and choices.

    Args:
      config_class: the options.
      program: name of the script.
      description: what the script does.
      known_names: function from a table to the names in it.
    """
    lines = [description.strip(), "", f"Usage: {usage(config_class, program)}"]
    for group in options.groups_of(config_class):
        lines += ["", f"{_bold(group.title)}:"]
        for each in group.options:
            lines += [
                f"  {_bold(_usage(each))}{_default(each)}",
                *_wrapped(text(each, known_names)),
            ]
    for title, entries in ABSL.items():
        lines += ["", f"{_bold(title)}:"]
        for name, meaning in entries.items():
            lines += [f"  {_bold(absl_flags.usage(name))}", *_wrapped(meaning)]
    return "\n".join(lines)


def usage(config_class: type, program: str) -> str:
    """Returns a command with its arguments: the required flags, and that there are others."""
    every = options.by_name(config_class).values()
    named = [_usage(each) for each in every if each.required]
    named += [
        f"[{each.name.upper()}{' ...' if each.declared.repeated else ''}]"
        for each in every
        if _is_optional_argument(each)
    ]
    return " ".join([program, *named, "[--flag=value ...]"])


def short(config_class: type, program: str, description: str, example: str) -> str:
    """Returns what a command without arguments prints; arguments as of `render`.

    Args:
      config_class: the options.
      program: name of the script.
      description: what the script does, in its first paragraph.
      example: flags of a typical command.
    """
    summary = description.strip().partition("\n\n")[0]
    interpreter = "python " if program.endswith(".py") else ""
    return (
        f"{summary}\n\nUsage: {usage(config_class, program)}\n"
        f"Example: {interpreter}{program} {example}\n--help lists the flags."
    )


def _bold(text: str) -> str:
    return _terminal.styled(text, _terminal.BOLD, sys.stdout)


def text(option: options.Option, known_names: Names) -> str:
    """Returns the help of an option, with its choices and aliases."""
    sentences = [option.declared.help]
    choices = option.declared.choices
    if option.declared.table:
        choices = tuple(known_names(option.declared.table))
    if choices:
        sentences.append(f"Choices: {', '.join(choices)}.")
    if option.declared.aliases:
        sentences.append(f"Alias: {', '.join(f'--{each}' for each in option.declared.aliases)}.")
    return " ".join(sentences)


def _is_optional_argument(option: options.Option) -> bool:
    return option.declared.positional and not option.required


def _usage(option: options.Option) -> str:
    if option.declared.positional and not option.declared.repeated:
        return option.name.upper()
    if option.kind is bool:
        return f"--[no]{option.name}"
    kind = option.declared.path or _KINDS[option.kind]
    return f"--{option.name}={kind.removeprefix('new_').upper()}"


def _wrapped(meaning: str) -> Iterator[str]:
    yield from textwrap.wrap(
        meaning, _WIDTH, initial_indent=" " * 6, subsequent_indent=" " * 6, break_on_hyphens=False
    )


def _default(option: options.Option) -> str:
    parts = []
    if option.required:
        parts.append("required")
    elif option.default is not None and option.default != ():
        parts.append(f"default: {problems.shown(option.default)}")
    if option.declared.tf_slim is not None:
        parts.append(f"TF-Slim: {problems.shown(option.declared.tf_slim)}")
    return f" ({'; '.join(parts)})" if parts else ""
