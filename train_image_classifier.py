"""Trains an image classifier, or resumes an interrupted run.

--list_networks lists the networks with their sizes and published checkpoints instead.
"""

import sys

from classifier.cli import stopping


def main() -> int:
    """Runs the script; returns its exit code."""
    with stopping.before_work():  # the imports take a while
        from classifier.cli import flags
        from classifier.cli.exit_codes import ExitCode
        from classifier.config.training import TrainConfig

        def run(config: TrainConfig) -> ExitCode | None:
            from classifier.training import run as training  # after the flags: it loads TensorFlow

            return training.run(config)

        def list_networks() -> None:
            from classifier.cli import list_networks as networks

            networks.show()

        return flags.main(TrainConfig, run, __doc__, actions={"--list_networks": list_networks})


if __name__ == "__main__":
    sys.exit(stopping.last(main()))
