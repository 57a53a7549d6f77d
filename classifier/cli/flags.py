"""The command line of the scripts.

Flags, names and paths are checked before TensorFlow, which takes seconds, is loaded. All problems
are reported at once.
"""

import dataclasses
import gc
import importlib
import io
import os
import shlex
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import ModuleType
from typing import Any, TypeVar

from absl import flags

from classifier.cli import (
    absl_flags,
    flag_origins,
    flagfiles,
    front_door,
    native_stderr,
    path_checks,
    versions,
)
from classifier.cli import help as help_text
from classifier.cli.exit_codes import ExitCode
from classifier.config import options, problems
from classifier.config.origins import Origins
from datasets import dataset_factory
from nets import nets_factory
from preprocessing import preprocessing_factory
from slim import _checks, _garbage

C = TypeVar("C")

_HELP = {f"{dash}{name}" for dash in ("-", "--") for name in ("h", "help", "helpshort", "helpfull")}
# Table -> mappings whose keys are its names.
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
    needs_tensorflow: bool = True,
    usage: str | None = None,
    example: str | None = None,
    dry_run: Callable[[C, Origins], object] | None = None,
) -> int:
    """Runs a script: reads its flags, runs it and returns its exit code.

    Args:
      config_class: the options.
      run: the script's work; imports what needs TensorFlow itself.
      description: first lines of `--help`.
      argv: the program and its arguments; default: `sys.argv`.
      actions: flag -> what the script does instead.
      needs_tensorflow: whether to load TensorFlow before `run`.
      usage: the command in the usage line of `--help`; default: the program's name.
      example: flags of a typical command; without arguments, the script prints it.
      dry_run: resolves the options as `run` does, for `--dry_run`; writes nothing.

    Returns:
      the exit code: see `front_door.enter`.
    """
    argv = sys.argv if argv is None else argv
    program = os.path.basename(argv[0])

    def prepare() -> Callable[[], int | None] | None:
        _set_environment()
        information = _information(config_class, description, program, usage or program, argv)
        if information is not None:
            print(information)
            return None
        for flag, action in (actions or {}).items():
            if flag in argv[1:]:
                return action
        if example is not None and len(argv) == 1:
            text = help_text.short(config_class, usage or program, description, example)
            return lambda: print(text, file=sys.stderr) or ExitCode.WRONG_USE
        work = _work(config_class, run, dry_run, program, argv, needs_tensorflow)
        return None if work is None else lambda: absl_flags.run(work)

    return front_door.enter(program, prepare)


def _work(
    config_class: type[C],
    run: Callable[[C], ExitCode | None],
    dry_run: Callable[[C, Origins], object] | None,
    program: str,
    argv: Sequence[str],
    needs_tensorflow: bool,
) -> Callable[[], int | None] | None:
    """Returns the work of a command line, after loading TensorFlow; None if there is none."""
    if needs_tensorflow:
        versions.check_tensorflow()
    config = parse(config_class, argv)
    known = options.by_name(config_class)
    is_dry_run = _parsed(known, argv)[0].dry_run
    if absl_flags.is_check():
        return None
    if not is_dry_run:
        absl_flags.configure_logging(program)
    if needs_tensorflow and not (is_dry_run and dry_run is None):
        with native_stderr.capture_native_stderr(), _garbage.paused():
            importlib.import_module("tensorflow")
        gc.freeze()  # The collector never visits TensorFlow's objects, which stay anyway.
    if not is_dry_run:
        return lambda: run(config)

    def read(arguments: Sequence[str]) -> dict[str, Any]:
        return _read(known, [program, *arguments])[0]

    origins = Origins(config, flag_origins.origins(known, config, argv[1:], read))

    def show() -> None:
        if dry_run is not None:
            dry_run(config, origins)
        print("\n".join(origins.lines()))

    return show


def _information(
    config_class: type, description: str, program: str, usage: str, argv: Sequence[str]
) -> str | None:
    """Returns what `--help`, `--helpxml` or `--version` prints, None without these flags."""
    arguments = set(argv[1:])
    if arguments & _HELP:
        return help_text.render(config_class, usage, description, known_names)
    if arguments & {"--version", "-version"}:
        return f"{program}: {versions.summary()}"
    if arguments & {"--helpxml", "-helpxml"}:
        xml = io.BytesIO()
        with io.TextIOWrapper(xml, encoding="utf-8", write_through=True) as file:
            _defined(options.by_name(config_class)).write_help_in_xml_format(file)
            return xml.getvalue().decode()
    return None


def parse(config_class: type[C], argv: Sequence[str]) -> C:
    """Returns the configuration of a command line.

    Args:
      config_class: the options; each is a flag of its name and of its aliases. Positional options
        may also be set without a flag, in order; a repeated one takes all that are left.
      argv: the program and its arguments.

    Raises:
      UserError: one line per flag that is unknown, missing or invalid.
    """
    known = options.by_name(config_class)
    texts, rest = _read(known, argv)
    positional = [name for name, option in known.items() if option.declared.positional]
    for name in positional:
        while (name not in texts or known[name].declared.repeated) and _is_argument(rest):
            before = texts.get(name, [])
            texts[name] = [*before, rest.pop(0)] if known[name].declared.repeated else rest.pop(0)
    lines = list(_leftovers(rest, known))
    values: dict[str, Any] = {}
    for name, text in texts.items():
        try:
            values[name] = _value(known[name], text, texts)
        except _checks.UserError as error:
            lines.append(str(error))
    lines += [
        problem
        for name, option in known.items()
        if name not in texts and isinstance(option.default, str)
        for problem in _outside(option, option.default, texts)
    ]
    received = shlex.join(argv[1:]) or "none"
    lines += [
        f"--{name} is required: {option.declared.help} Arguments received: {received}"
        for name, option in known.items()
        if option.required and name not in texts
    ]
    if lines:
        raise _checks.UserError("\n".join(lines))
    try:
        return options.build(config_class, **values)
    except problems.OptionError as error:
        raise _checks.UserError(error.as_flags) from None


def known_names(table: options.Table) -> tuple[str, ...]:
    """Returns the names of a table, sorted."""
    module, mappings = _TABLES[table]
    return tuple(sorted({name for mapping in mappings for name in getattr(module, mapping)}))


def _set_environment() -> None:
    """Sets variables that TensorFlow reads when it is loaded, unless the user has."""
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def _defined(known: Mapping[str, options.Option]) -> flags.FlagValues:
    """Returns the flags of options, with those of absl."""
    values = flags.FlagValues()
    values.set_gnu_getopt(True)  # flags may follow other arguments, which are reported
    absl_flags.define(values)
    for name, option in known.items():
        default = None if option.required else option.default
        kind = flags.MultiFlag if option.declared.repeated else flags.Flag
        flag = kind(
            flags.ArgumentParser(),
            None,
            name,
            None if default in (None, ()) else problems.shown(default),
            option.declared.help,
            boolean=option.kind is bool,
        )
        flags.DEFINE_flag(flag, values)
        for alias in option.declared.aliases:
            values[alias] = flag
    return values


def _is_argument(rest: Sequence[str]) -> bool:
    return bool(rest) and (rest[0] == "-" or not rest[0].startswith("-"))


def _read(
    known: Mapping[str, options.Option], argv: Sequence[str]
) -> tuple[dict[str, Any], list[str]]:
    """Returns the texts of the flags that are set, and the arguments that are no known flag."""
    values, rest = _parsed(known, argv)
    return {name: values[name].value for name in known if values[name].present}, rest


def _parsed(
    known: Mapping[str, options.Option], argv: Sequence[str]
) -> tuple[flags.FlagValues, list[str]]:
    values = _defined(known)
    arguments = flagfiles.located(argv[1:])
    flagfiles.check(arguments)
    try:
        return values, values([argv[0], *arguments], known_only=True)[1:]
    except (flags.Error, ValueError) as error:
        raise _checks.UserError(str(error)) from None


def _leftovers(rest: Iterable[str], known: Mapping[str, options.Option]) -> Iterable[str]:
    aliases = (alias for option in known.values() for alias in option.declared.aliases)
    names = [f"--{name}" for name in (*known, *aliases, *absl_flags.NAMES)]
    after_unknown = False
    for argument in rest:
        if argument.startswith("-") and argument != "-":
            name, equals, _ = argument.partition("=")
            near = _checks.suggest(name, names)
            yield f"Unknown flag {argument}{near or '; --help lists the flags'}"
            after_unknown = not equals
        elif after_unknown:
            after_unknown = False  # the value of the unknown flag
        else:
            yield (
                f"Unexpected argument {argument!r}: a space in a flag's value, or no '\\' at the"
                " end of a line?"
            )


def _value(option: options.Option, text: Any, texts: Mapping[str, Any]) -> Any:
    if option.declared.repeated:
        one = dataclasses.replace(
            option, kind=str, declared=dataclasses.replace(option.declared, repeated=False)
        )
        return tuple(_value(one, each, texts) for each in text)
    flag = f"--{option.name}"
    if text.startswith("--"):
        raise _checks.UserError(f"{flag} has no value: the next argument is {text!r}")
    if any("\udc80" <= character <= "\udcff" for character in text):
        raise _checks.UserError(f"{flag}={text!r} is not UTF-8. Rename it, or use a link to it")
    try:
        value = option.parse(text)
    except _checks.UserError as error:
        raise _checks.UserError(f"{flag}={error}") from None
    lines = list(option.problems(value, flag))
    if lines:
        raise _checks.UserError("\n".join(lines))
    for problem in _outside(option, value, texts):
        raise _checks.UserError(problem)
    return value


def _outside(option: options.Option, value: Any, texts: Mapping[str, Any]) -> Iterator[str]:
    """Yields what is wrong with a value given the tables, the disk and the other flags."""
    flag = f"--{option.name}"
    try:
        if value is not None and option.declared.table:
            _check_name(option.declared.table, flag, value)
        if value is not None and option.declared.path and not _may_be_missing(option, texts):
            path_checks.check(option.declared.path, flag, value)
    except _checks.UserError as error:
        yield str(error)


def _may_be_missing(option: options.Option, texts: Mapping[str, Any]) -> bool:
    """Returns whether the path need not exist because of another flag."""
    train_dir = texts.get(option.declared.path_unless_resuming or "", "")
    switch = texts.get(option.declared.path_unless or "", "false")
    is_set = switch.lower() in ("true", "t", "1")
    return is_set or path_checks.has_checkpoint(os.path.expanduser(train_dir))


def _check_name(table: options.Table, flag: str, name: str) -> None:
    module, mappings = _TABLES[table]
    if "FAMILIES" not in mappings or not module.is_family_member(name):
        _checks.one_of(flag, name, known_names(table))
    elif table == "conversions":
        module.check_convertible(name)
