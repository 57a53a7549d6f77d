"""Trains MobileNet V1 on ImageNet, with the settings of TF-Slim's program of this name."""

import os
import sys
from typing import TYPE_CHECKING

if not __package__:  # run as a file: its imports start at the root
    sys.path[0] = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))

from classifier.cli import stopping

if TYPE_CHECKING:
    from classifier.cli.exit_codes import ExitCode
    from classifier.config.mobilenet_v1 import MobilenetTrainConfig


def _run(config: "MobilenetTrainConfig") -> "ExitCode | None":
    from classifier.training import run as training

    return training.run(config.training())


def main() -> int:
    """Runs the program; returns its exit code."""
    with stopping.before_work():  # the imports take a while
        from classifier.cli import flags
        from classifier.config.mobilenet_v1 import MobilenetTrainConfig

        return flags.main(MobilenetTrainConfig, _run, __doc__)


if __name__ == "__main__":
    sys.exit(stopping.last(main()))
