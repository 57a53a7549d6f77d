"""Names the most likely classes of pictures."""

import sys

from classifier import flags
from classifier.config.trained import PredictConfig
from classifier.exit_codes import ExitCode


def _run(config: PredictConfig) -> ExitCode | None:
    from classifier import predicting  # after the flags: it loads TensorFlow

    return predicting.run(config)


def main() -> int:
    """Runs the script; returns its exit code."""
    return flags.main(PredictConfig, _run, __doc__)


if __name__ == "__main__":
    sys.exit(main())
