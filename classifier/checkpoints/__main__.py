"""Inspects, compares and converts checkpoints.

Usage: python -m classifier.checkpoints COMMAND [--flag=value ...]

  inspect   lists the variables: network, optimizer slots, moving averages, global step
  diff      compares a checkpoint with a network and suggests flags to train from it
  convert   writes the network's variables to a Keras .weights.h5 file or a checkpoint

Run COMMAND --help for the flags of a command.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from classifier.cli import stopping

if TYPE_CHECKING:
    from classifier.config.checkpoints import ConvertConfig, DiffConfig, InspectConfig


class _Command(NamedTuple):
    config_class: str
    run: Callable[[Any], None]
    description: str


def _inspect(config: "InspectConfig") -> None:
    from classifier.checkpoints import commands  # imported late: loads TensorFlow

    commands.inspect(config)


def _diff(config: "DiffConfig") -> None:
    from classifier.checkpoints import commands

    commands.diff(config)


def _convert(config: "ConvertConfig") -> None:
    from classifier.checkpoints import commands

    commands.convert(config)


COMMANDS: Mapping[str, _Command] = {
    "inspect": _Command("InspectConfig", _inspect, "Lists the variables of a checkpoint."),
    "diff": _Command(
        "DiffConfig", _diff, "Compares a checkpoint with a network and suggests flags to add."
    ),
    "convert": _Command(
        "ConvertConfig",
        _convert,
        "Converts the network's variables in a checkpoint to another format.",
    ),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command in `argv` (default: `sys.argv`) and returns its exit code."""
    name, *rest = (sys.argv if argv is None else argv)[1:] or ["--help"]
    with stopping.before_work("checkpoints"):  # the imports take a while
        from classifier.cli import flags, versions
        from classifier.cli.exit_codes import ExitCode
        from classifier.config import checkpoints as configs
        from slim import _checks

        if name in ("--help", "-help", "-h"):
            print((__doc__ or "").strip())
            return ExitCode.DONE
        if name == "--version":
            print(f"checkpoints: {versions.summary()}")
            return ExitCode.DONE
        try:
            command = COMMANDS[_checks.one_of("command", name, COMMANDS)]
        except _checks.UserError as error:
            print(f"checkpoints: {error}", file=sys.stderr)
            return ExitCode.WRONG_USE
        config_class = getattr(configs, command.config_class)
        program = [f"checkpoints {name}", *rest]
        return flags.main(config_class, command.run, command.description, program)


if __name__ == "__main__":
    sys.exit(stopping.last(main()))
