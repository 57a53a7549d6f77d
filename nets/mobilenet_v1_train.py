"""Trains MobileNet V1 on ImageNet, with the settings of TF-Slim's program of this name."""

import os
import sys
from typing import TYPE_CHECKING

if not __package__:  # run as a file: its imports start at the root
    sys.path[0] = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))

if TYPE_CHECKING:
    from classifier.cli.exit_codes import ExitCode
    from classifier.config.mobilenet_v1 import MobilenetTrainConfig


def _run(config: "MobilenetTrainConfig") -> "ExitCode | None":
    from classifier.training import run as training
    from datasets import dataset_factory
    from slim import _checks

    classes = dataset_factory.get_facts("imagenet", "train", config.dataset_dir).num_classes
    if config.num_classes not in (None, classes):
        raise _checks.UserError(
            f"--num_classes={config.num_classes} differs from the {classes} classes of"
            f" --dataset_dir={config.dataset_dir!r}. Remove the flag"
        )
    return training.run(config.training())


def main() -> int:
    """Runs the program; returns its exit code."""
    from classifier.cli import stopping

    with stopping.before_work():  # the imports take a while
        from classifier.cli import flags
        from classifier.config.mobilenet_v1 import MobilenetTrainConfig

        return flags.main(MobilenetTrainConfig, _run, __doc__)


if __name__ == "__main__":
    sys.exit(main())
