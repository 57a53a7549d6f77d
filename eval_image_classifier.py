"""Measures the accuracy of a checkpoint on a split of a dataset."""

import sys

from classifier import flags
from classifier.config.trained import EvalConfig
from classifier.exit_codes import ExitCode


def _run(config: EvalConfig) -> ExitCode | None:
    from classifier import evaluating  # after the flags: it loads TensorFlow

    return evaluating.run(config)


def main() -> int:
    """Runs the script; returns its exit code."""
    return flags.main(EvalConfig, _run, __doc__)


if __name__ == "__main__":
    sys.exit(main())
