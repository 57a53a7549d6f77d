"""Measures the accuracy of a checkpoint on a split of a dataset."""

import sys

from classifier.cli import flags
from classifier.cli.exit_codes import ExitCode
from classifier.config.evaluation import EvalConfig


def _run(config: EvalConfig) -> ExitCode | None:
    from classifier.inference import evaluate

    return evaluate.run(config)


def main() -> int:
    """Runs the script; returns its exit code."""
    return flags.main(EvalConfig, _run, __doc__)


if __name__ == "__main__":
    sys.exit(main())
