"""Names the most likely classes of pictures."""

import sys

from classifier.cli import flags
from classifier.cli.exit_codes import ExitCode
from classifier.config.prediction import PredictConfig


def _run(config: PredictConfig) -> ExitCode | None:
    from classifier.inference import predict

    return predict.run(config)


def main() -> int:
    """Runs the script; returns its exit code."""
    return flags.main(PredictConfig, _run, __doc__)


if __name__ == "__main__":
    sys.exit(main())
