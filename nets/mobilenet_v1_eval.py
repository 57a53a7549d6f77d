"""Evaluates MobileNet V1 on ImageNet, as TF-Slim's program of this name does."""

import os
import sys
from typing import TYPE_CHECKING

if not __package__:  # run as a file: its imports start at the root
    sys.path[0] = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))

from classifier.cli import stopping

if TYPE_CHECKING:
    from classifier.cli.exit_codes import ExitCode
    from classifier.config.mobilenet_v1 import MobilenetEvalConfig


def _run(config: "MobilenetEvalConfig") -> "ExitCode | None":
    from classifier.inference import evaluate

    return evaluate.run(config.evaluation())


def main() -> int:
    """Runs the program; returns its exit code."""
    with stopping.before_work():  # the imports take a while
        from classifier.cli import flags
        from classifier.config.mobilenet_v1 import MobilenetEvalConfig

        return flags.main(MobilenetEvalConfig, _run, __doc__)


if __name__ == "__main__":
    sys.exit(stopping.last(main()))
