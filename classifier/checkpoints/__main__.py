"""Inspects checkpoints, compares them with networks, and converts them.

Usage: python -m classifier.checkpoints COMMAND [--flag=value ...]

  inspect   lists the variables: network, optimizer slots, moving averages, global step
  diff      compares a checkpoint with a network, and names the flags to add
  convert   writes the network's variables as Keras .weights.h5, or as a checkpoint
  fetch     downloads and unpacks a published checkpoint

COMMAND --help lists the flags of a command.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from classifier.cli import stopping

if TYPE_CHECKING:
    from classifier.config.checkpoints import ConvertConfig, DiffConfig, FetchConfig, InspectConfig


class _Command(NamedTuple):
    config_class: str
    run: Callable[[Any], None]
    description: str
    needs_tensorflow: bool = True


def _inspect(config: "InspectConfig") -> None:
    from classifier.checkpoints import commands  # after the flags: it loads TensorFlow

    commands.inspect(config)


def _diff(config: "DiffConfig") -> None:
    from classifier.checkpoints import commands

    commands.diff(config)


def _convert(config: "ConvertConfig") -> None:
    from classifier.checkpoints import commands

    commands.convert(config)


def _fetch(config: "FetchConfig") -> None:
    from classifier.checkpoints.fetch import fetch

    print(fetch(config))


COMMANDS: Mapping[str, _Command] = {
    "inspect": _Command("InspectConfig", _inspect, "Lists the variables of a checkpoint."),
    "diff": _Command(
        "DiffConfig", _diff, "Compares a checkpoint with a network, and names the flags to add."
    ),
    "convert": _Command(
        "ConvertConfig",
        _convert,
        "Writes the network's variables in a checkpoint to another format.",
    ),
    "fetch": _Command(
        "FetchConfig",
        _fetch,
        "Downloads and unpacks a published checkpoint, and prints its path on the last line.",
        needs_tensorflow=False,
    ),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command that `argv` (default: `sys.argv`) names; returns its exit code."""
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
        return flags.main(
            config_class,
            command.run,
            command.description,
            program,
            needs_tensorflow=command.needs_tensorflow,
        )


if __name__ == "__main__":
    sys.exit(stopping.last(main()))
