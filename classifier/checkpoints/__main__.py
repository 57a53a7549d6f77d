"""Inspects, compares, converts, averages and fetches checkpoints.

Usage: {command} COMMAND [--flag=value ...]

  inspect   lists the variables: network, optimizer slots, moving averages, global step
  diff      compares a checkpoint with a network and suggests flags to train from it
  convert   writes the network's variables to a Keras .weights.h5 file or a checkpoint
  average   averages the weights of several checkpoints of a run
  fetch     downloads and unpacks a published checkpoint
  list      lists the published checkpoints and which are in the cache

Run COMMAND --help for the flags of a command.
"""

import importlib
import sys
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from classifier.cli import stopping


class _Command(NamedTuple):
    config_class: str  # in `classifier.config.checkpoints`
    description: str
    module: str = "commands"
    needs_tensorflow: bool = True


COMMANDS: Mapping[str, _Command] = {
    "inspect": _Command("InspectConfig", "Lists the variables of a checkpoint."),
    "diff": _Command(
        "DiffConfig", "Compares a checkpoint with a network and suggests flags to add."
    ),
    "convert": _Command(
        "ConvertConfig", "Converts the network's variables in a checkpoint to another format."
    ),
    "average": _Command(
        "AverageConfig",
        "Averages the variables of several checkpoints of a network.",
        module="averaging",
    ),
    "fetch": _Command(
        "FetchConfig",
        "Downloads and unpacks a published checkpoint, and prints its path on the last line.",
        module="fetch",
        needs_tensorflow=False,
    ),
    "list": _Command(
        "ListConfig",
        "Lists the published checkpoints, how to use each, and which are in the cache.",
        module="fetch",
        needs_tensorflow=False,
    ),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command in `argv` (default: `sys.argv`) and returns its exit code."""
    name, *rest = (sys.argv if argv is None else argv)[1:] or ["--help"]
    with stopping.before_work("checkpoints"):  # the imports take a while
        from classifier.cli import flags, versions
        from classifier.cli.exit_codes import ExitCode
        from classifier.config import checkpoints as configs
        from slim import _checks, _programs

        if name in ("--help", "-help", "-h"):
            print((__doc__ or "").strip().format(command=_programs.command("slim-checkpoints")))
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

        def run(config: Any) -> None:
            # Imported late: `commands` loads TensorFlow.
            module = importlib.import_module(f".{command.module}", __package__)
            output = getattr(module, name)(config)
            if output is not None:
                print(output)

        program = [f"checkpoints {name}", *rest]
        return flags.main(
            config_class,
            run,
            command.description,
            program,
            needs_tensorflow=command.needs_tensorflow,
            usage=_programs.command("slim-checkpoints", name),
        )


if __name__ == "__main__":
    sys.exit(stopping.last(main()))
