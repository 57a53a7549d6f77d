"""Measures the accuracy of a checkpoint on a split of a dataset."""

import sys

from classifier import stopping


def main() -> int:
    """Runs the script; returns its exit code."""
    with stopping.before_work():  # the imports take a while
        from classifier import flags
        from classifier.config.trained import EvalConfig
        from classifier.exit_codes import ExitCode

        def run(config: EvalConfig) -> ExitCode | None:
            from classifier import evaluating  # after the flags: it loads TensorFlow

            return evaluating.run(config)

        return flags.main(EvalConfig, run, __doc__)


if __name__ == "__main__":
    sys.exit(stopping.last(main()))
