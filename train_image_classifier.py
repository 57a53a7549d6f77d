"""Trains a network on a dataset, or goes on with a run that was stopped.

`--list_networks` prints every network with its size and published checkpoints instead.
"""

import sys

from classifier import flags
from classifier.config.training import TrainConfig
from classifier.exit_codes import ExitCode


def _run(config: TrainConfig) -> ExitCode | None:
    from classifier import training  # after the flags: it loads TensorFlow

    return training.run(config)


def _list_networks() -> None:
    from classifier import networks_table

    networks_table.show()


def main() -> int:
    """Runs the script; returns its exit code."""
    return flags.main(TrainConfig, _run, __doc__, actions={"--list_networks": _list_networks})


if __name__ == "__main__":
    sys.exit(main())
