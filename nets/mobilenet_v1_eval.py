"""Evaluates MobileNet V1 on ImageNet, as TF-Slim's program of this name does."""

import os
import sys
from typing import TYPE_CHECKING

if not __package__:  # run as a file: its imports start at the root
    sys.path[0] = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))

if TYPE_CHECKING:
    from classifier.cli.exit_codes import ExitCode
    from classifier.config.mobilenet_v1 import MobilenetEvalConfig


def _run(config: "MobilenetEvalConfig") -> "ExitCode | None":
    from classifier.inference import evaluate
    from datasets import dataset_factory
    from slim import _checks

    classes = dataset_factory.get_facts("imagenet", "validation", config.dataset_dir).num_classes
    if config.num_classes not in (None, classes):
        raise _checks.UserError(
            f"--num_classes={config.num_classes} differs from the {classes} classes of"
            f" --dataset_dir={config.dataset_dir!r}. Remove the flag"
        )
    return evaluate.run(config.evaluation())


def main() -> int:
    """Runs the program; returns its exit code."""
    from classifier.cli import stopping

    with stopping.before_work():  # the imports take a while
        from classifier.cli import flags
        from classifier.config.mobilenet_v1 import MobilenetEvalConfig

        return flags.main(MobilenetEvalConfig, _run, __doc__)


if __name__ == "__main__":
    sys.exit(main())
