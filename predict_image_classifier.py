"""Names the most likely classes of pictures."""

import sys

from classifier import stopping


def main() -> int:
    """Runs the script; returns its exit code."""
    with stopping.before_work():  # the imports take a while
        from classifier import flags
        from classifier.config.trained import PredictConfig
        from classifier.exit_codes import ExitCode

        def run(config: PredictConfig) -> ExitCode | None:
            from classifier import predicting  # after the flags: it loads TensorFlow

            return predicting.run(config)

        return flags.main(PredictConfig, run, __doc__)


if __name__ == "__main__":
    sys.exit(stopping.last(main()))
