"""Prints the completion of slim's commands for a shell: flags, their values and paths.

Usage: slim-completion bash|zsh|fish

  bash   eval "$(slim-completion bash)" in ~/.bashrc
  zsh    eval "$(slim-completion zsh)" in ~/.zshrc
  fish   slim-completion fish > ~/.config/fish/conf.d/slim.fish
"""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence

from classifier.cli import absl_flags, completion_scripts, flags, front_door, recipes
from classifier.cli.completion_scripts import Command, Completion
from classifier.cli.exit_codes import ExitCode
from classifier.config import checkpoints, options
from classifier.config.conversion import DataConfig
from classifier.config.evaluation import EvalConfig
from classifier.config.export import ExportConfig
from classifier.config.prediction import PredictConfig
from classifier.config.serving import ServeConfig
from classifier.config.training import TrainConfig
from nets import published
from slim import _checks

CONFIGS: Mapping[str, type] = {
    "slim-train": TrainConfig,
    "slim-eval": EvalConfig,
    "slim-export": ExportConfig,
    "slim-predict": PredictConfig,
    "slim-serve": ServeConfig,
    "slim-data": DataConfig,
    "slim-checkpoints inspect": checkpoints.InspectConfig,
    "slim-checkpoints diff": checkpoints.DiffConfig,
    "slim-checkpoints convert": checkpoints.ConvertConfig,
    "slim-checkpoints average": checkpoints.AverageConfig,
    "slim-checkpoints fetch": checkpoints.FetchConfig,
    "slim-checkpoints list": checkpoints.ListConfig,
}
_OF_ALL = (absl_flags.DRY_RUN, "flagfile", "help", "version")
_DIRECTORIES = ("directory", "new_directory", "new_dataset")
_CHECKPOINTS = ("checkpoint", "checkpoints", "model")


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command of `argv` (default: `sys.argv`); returns its exit code."""
    arguments = (sys.argv if argv is None else argv)[1:]
    return front_door.enter("slim-completion", lambda: _work(arguments))


def _work(arguments: Sequence[str]) -> Callable[[], int | None]:
    if {"-h", "--help"} & set(arguments):
        return lambda: print((__doc__ or "").strip())
    if not arguments:
        return lambda: print((__doc__ or "").strip(), file=sys.stderr) or ExitCode.WRONG_USE
    shell, *rest = arguments
    _checks.one_of("shell", shell, completion_scripts.SHELLS)
    if rest:
        raise _checks.UserError(f"Unexpected argument {rest[0]!r}; the shell is the only one")
    return lambda: print(completion_scripts.SHELLS[shell](list(_commands())))


def _commands() -> Iterator[Command]:
    for name, config_class in CONFIGS.items():
        known = options.by_name(config_class)
        flags_of = [flag for each in known.values() for flag in _completions(each)]
        positional = [each.name for each in known.values() if each.declared.positional]
        argument = next((flag for flag in flags_of if flag.name in positional), None)
        yield Command(name, [*flags_of, *_of_all(name)], argument)
    yield Command("slim-recipe", [], Completion("recipe", words=tuple(recipes.recipes())))
    yield Command("slim-run", [], Completion("script", path="file"))
    shells = tuple(completion_scripts.SHELLS)
    yield Command("slim-completion", [], Completion("shell", words=shells))


def _of_all(command: str) -> Iterator[Completion]:
    for name in _OF_ALL:
        path = "file" if name == "flagfile" else ""
        yield Completion(name, absl_flags.READING[name], path=path, is_switch=not path)
    if command == "slim-train":
        yield Completion("list_networks", "List the networks.", is_switch=True)


def _completions(option: options.Option) -> Iterator[Completion]:
    """Yields a flag under its name and its aliases."""
    declared = option.declared
    words = declared.choices
    if declared.table:
        # Shells split words at a colon; tfds:NAME stands for any name.
        words = tuple(each for each in flags.known_names(declared.table) if ":" not in each)
    elif declared.path in _CHECKPOINTS or option.name == "name":
        words = tuple(published.names())
    path = "directory" if declared.path in _DIRECTORIES else "file" if declared.path else ""
    for name in (option.name, *declared.aliases):
        yield Completion(
            name,
            declared.help,
            words=words,
            path=path,
            is_list=option.kind == tuple[str, ...] and not declared.repeated,
            is_switch=option.kind is bool,
            is_boolean=option.kind is bool,
        )


if __name__ == "__main__":
    sys.exit(main())
