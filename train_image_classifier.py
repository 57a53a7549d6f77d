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
        from classifier.config.origins import Origins
        from classifier.config.training import TrainConfig

        def run(config: TrainConfig) -> ExitCode | None:
            from classifier.training import run as training  # after the flags: it loads TensorFlow

            return training.run(config)

        def dry_run(config: TrainConfig, origins: Origins) -> None:
            from classifier.training import dry_run as resolving

            resolving.resolve(config, origins)

        def list_networks() -> None:
            from classifier.cli import list_networks as networks

            networks.show()

        return flags.main(
            TrainConfig,
            run,
            __doc__,
            actions={"--list_networks": list_networks},
            example="--train_dir=run --dataset_name=folder --dataset_dir=images"
            " --checkpoint_path=mobilenet_v1_1.0_224 --finetune=auto",
            dry_run=dry_run,
        )


if __name__ == "__main__":
    sys.exit(stopping.last(main()))
