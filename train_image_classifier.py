"""Trains a network on a dataset, or goes on with a run that was stopped.

`--list_networks` prints every network with its size and published checkpoints instead.
"""

import sys

from classifier.cli import flags
from classifier.cli.exit_codes import ExitCode
from classifier.config.training import TrainConfig


def _run(config: TrainConfig) -> ExitCode | None:
    from classifier.training import run as training

    return training.run(config)


def _list_networks() -> None:
    from classifier.cli import list_networks

    list_networks.show()


def main() -> int:
    """Runs the script; returns its exit code."""
    return flags.main(TrainConfig, _run, __doc__, actions={"--list_networks": _list_networks})


if __name__ == "__main__":
    sys.exit(main())
