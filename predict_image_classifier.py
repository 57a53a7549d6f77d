"""Classifies images."""

import sys

from classifier.cli import stopping


def main() -> int:
    """Runs the script; returns its exit code."""
    with stopping.before_work():  # the imports take a while
        from classifier.cli import flags
        from classifier.cli.exit_codes import ExitCode
        from classifier.config.origins import Origins
        from classifier.config.prediction import PredictConfig

        def run(config: PredictConfig) -> ExitCode | None:
            from classifier.inference import predict  # after the flags: it loads TensorFlow

            return predict.run(config)

        def dry_run(config: PredictConfig, origins: Origins) -> None:
            from classifier.inference import dry_run as resolving

            resolving.prediction(config, origins)

        example = "--model=run --top_k=3 images"
        return flags.main(PredictConfig, run, __doc__, example=example, dry_run=dry_run)


if __name__ == "__main__":
    sys.exit(stopping.last(main()))
