"""The door of the scripts: flags in, one call out. Nobody else reads `absl.flags`.

Flags, names and folders are checked here before TensorFlow, which takes seconds, is loaded; all
problems are told at once.
"""

import importlib
import os
import re
import shlex
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import ModuleType
from typing import Any, TypeVar

from absl import flags

from classifier.cli import flagfiles, front_door, native_stderr, path_checks
from classifier.cli import help as help_text
from classifier.cli.exit_codes import ExitCode
from classifier.config import options
from datasets import dataset_factory
from nets import nets_factory
from preprocessing import preprocessing_factory
from slim import _checks

C = TypeVar("C")

_HELP = ("--help", "-help", "-h")
# The mappings whose keys an option's values are names of.
_TABLES: Mapping[options.Table, tuple[ModuleType, tuple[str, ...]]] = {
    "networks": (nets_factory, ("NETWORKS",)),
    "datasets": (dataset_factory, ("DATASETS", "FAMILIES")),
    "conversions": (dataset_factory, ("DATASETS", "FAMILIES", "ACTIONS")),
    "preprocessings": (preprocessing_factory, ("PREPROCESSINGS", "NETWORK_PREPROCESSINGS")),
}


def main(
    config_class: type[C],
    run: Callable[[C], ExitCode | None],
    description: str,
    argv: Sequence[str] | None = None,
    actions: Mapping[str, Callable[[], None]] | None = None,
) -> int:
    """Runs a script: reads its flags, does what it is for, and says how it ended.

    Args:
      config_class: the options.
      run: does it; imports what needs TensorFlow itself.
      description: first lines of `--help`.
      argv: the program and its arguments; default: `sys.argv`.
      actions: what else the script does, by the flag that asks for it instead of a run.

    Returns:
      the exit code: see `front_door.enter`.
    """
    argv = sys.argv if argv is None else argv
    program = os.path.basename(argv[0])
    return front_door.enter(
        program, lambda: _prepared(config_class, run, description, program, argv, actions or {})
    )


def _prepared(
    config_class: type[C],
    run: Callable[[C], ExitCode | None],
    description: str,
    program: str,
    argv: Sequence[str],
    actions: Mapping[str, Callable[[], None]],
) -> Callable[[], int | None] | None:
    """Returns the work that a command line asks for, or None after `--help`."""
    _set_environment()
    if any(argument in _HELP for argument in argv[1:]):
        print(help_text.render(config_class, program, description, known_names))
        return None
    for flag, action in actions.items():
        if flag in argv[1:]:
            return action
    config = parse(config_class, argv)
    with native_stderr.capture_native_stderr():
        importlib.import_module("tensorflow")
    return lambda: run(config)


def parse(config_class: type[C], argv: Sequence[str]) -> C:
    """Returns the configuration that a command line asks for.

    Args:
      config_class: the options; each is a flag of its name, and `--flagfile=FILE` reads flags
        from a file.
      argv: the program and its arguments.

    Raises:
      UserError: one line for each flag that is not known, is missing or has a wrong value.
    """
    known = options.by_name(config_class)
    texts, rest = _read(known, argv)
    problems = list(_leftovers(rest, known))
    values: dict[str, Any] = {}
    for name, text in texts.items():
        try:
            values[name] = _value(known[name], text, texts)
        except _checks.UserError as error:
            problems.append(str(error))
    problems += [
        problem
        for name, option in known.items()
        if name not in texts and isinstance(option.default, str)
        for problem in _outside(option, option.default, texts)
    ]
    received = shlex.join(argv[1:]) or "none"
    problems += [
        f"--{name} is required: {option.declared.help} Arguments received: {received}"
        for name, option in known.items()
        if option.required and name not in texts
    ]
    if problems:
        raise _checks.UserError("\n".join(problems))
    try:
        return options.build(config_class, **values)
    except _checks.UserError as error:
        raise _checks.UserError(_as_flags(str(error), known)) from None


def known_names(table: options.Table) -> tuple[str, ...]:
    """Returns the names in a table, sorted."""
    module, mappings = _TABLES[table]
    return tuple(sorted({name for mapping in mappings for name in getattr(module, mapping)}))


def _set_environment() -> None:
    """Sets what TensorFlow reads when it is loaded, unless the user has."""
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def _read(
    known: Mapping[str, options.Option], argv: Sequence[str]
) -> tuple[dict[str, str], list[str]]:
    """Returns the texts of the flags that were given, and the arguments that are no known flag."""
    values = flags.FlagValues()
    flags.DEFINE_string("flagfile", None, "File with one flag a line.", flag_values=values)
    for name, option in known.items():
        boolean = option.kind is bool
        flag = flags.Flag(
            flags.ArgumentParser(), None, name, None, option.declared.help, boolean=boolean
        )
        flags.DEFINE_flag(flag, values)
    flagfiles.check(argv[1:])
    try:
        rest = values(list(argv), known_only=True)[1:]
    except (flags.Error, ValueError) as error:
        raise _checks.UserError(str(error)) from None
    return {name: values[name].value for name in known if values[name].value is not None}, rest


def _leftovers(rest: Iterable[str], known: Mapping[str, options.Option]) -> Iterable[str]:
    after_unknown = False
    for argument in rest:
        if argument.startswith("--"):
            name, equals, _ = argument.partition("=")
            near = _checks.suggest(name, (f"--{each}" for each in (*known, "flagfile")))
            yield f"Unknown flag {argument}{near or '; --help lists the flags'}"
            after_unknown = not equals
        elif after_unknown:
            after_unknown = False  # the value of the unknown flag
        else:
            yield (
                f"Unexpected argument {argument!r} - blank inside a flag value,"
                " or a missing '\\' at a line end?"
            )


def _value(option: options.Option, text: str, texts: Mapping[str, str]) -> Any:
    flag = f"--{option.name}"
    if text.startswith("--"):
        raise _checks.UserError(f"{flag} has no value: the next argument is {text!r}")
    if any("\udc80" <= character <= "\udcff" for character in text):
        raise _checks.UserError(f"{flag}={text!r} is not UTF-8. Rename it, or use a link to it")
    try:
        value = option.parse(text)
    except _checks.UserError as error:
        raise _checks.UserError(f"{flag}={error}") from None
    problems = list(option.problems(value, flag))
    if problems:
        raise _checks.UserError("\n".join(problems))
    for problem in _outside(option, value, texts):
        raise _checks.UserError(problem)
    return value


def _outside(option: options.Option, value: Any, texts: Mapping[str, str]) -> Iterator[str]:
    """Yields what is wrong with a value in view of the tables, the disk and the other flags."""
    flag = f"--{option.name}"
    try:
        if value is not None and option.declared.table:
            _check_name(option.declared.table, flag, value)
        begun = path_checks.holds_run(texts.get(option.declared.path_unless_begun or "", ""))
        if value is not None and option.declared.path and not begun:
            path_checks.check(option.declared.path, flag, value)
    except _checks.UserError as error:
        yield str(error)


def _check_name(table: options.Table, flag: str, name: str) -> None:
    module, mappings = _TABLES[table]
    if "FAMILIES" not in mappings or not module.is_family_member(name):
        _checks.one_of(flag, name, known_names(table))
    elif table == "conversions":
        module.check_convertible(name)


def _as_flags(message: str, known: Iterable[str]) -> str:
    """Returns a message about options that calls them by their flags."""
    for name in known:
        message = re.sub(rf"(?<![\w-]){name}\b", f"--{name}", message)
    return message
