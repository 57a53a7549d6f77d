"""Trains a network on a dataset, or goes on with a run that was stopped.

`--list_networks` prints every network with its size and published checkpoints instead.
"""

import sys

from classifier import stopping


def main() -> int:
    """Runs the script; returns its exit code."""
    with stopping.before_work():  # the imports take a while
        from classifier import flags
        from classifier.config.training import TrainConfig
        from classifier.exit_codes import ExitCode

        def run(config: TrainConfig) -> ExitCode | None:
            from classifier import training  # after the flags: it loads TensorFlow

            return training.run(config)

        def list_networks() -> None:
            from classifier import networks_table

            networks_table.show()

        return flags.main(TrainConfig, run, __doc__, actions={"--list_networks": list_networks})


if __name__ == "__main__":
    sys.exit(stopping.last(main()))
