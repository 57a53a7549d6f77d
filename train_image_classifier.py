"""Trains a network on a dataset, or goes on with a run that was stopped."""

import sys

from classifier import flags
from classifier.config import TrainConfig
from classifier.exit_codes import ExitCode


def _run(config: TrainConfig) -> ExitCode | None:
    from classifier import training  # after the flags: it loads TensorFlow

    return training.run(config)


def main() -> int:
    """Runs the script; returns its exit code."""
    return flags.main(TrainConfig, _run, __doc__)


if __name__ == "__main__":
    sys.exit(main())
