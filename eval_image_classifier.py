"""Evaluates a checkpoint on a split of a dataset."""

import sys

from classifier.cli import stopping


def main() -> int:
    """Runs the script; returns its exit code."""
    with stopping.before_work():  # the imports take a while
        from classifier.cli import flags
        from classifier.cli.exit_codes import ExitCode
        from classifier.config.evaluation import EvalConfig

        def run(config: EvalConfig) -> ExitCode | None:
            from classifier import report  # after the flags: it loads TensorFlow

            return report.evaluate(config)

        return flags.main(EvalConfig, run, __doc__)


if __name__ == "__main__":
    sys.exit(stopping.last(main()))
