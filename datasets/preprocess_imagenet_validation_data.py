"""Moves the validation images of ImageNet into one directory per class, DATA_DIR/<id>/.

Line N of LABELS_FILE is the class of ILSVRC2012_val_N.JPEG. Nothing is moved if an image is missing
or the target of one already exists. Images that an earlier call moved stay there.
"""

import os
import sys
from typing import TYPE_CHECKING

if not __package__:  # run as a file: its imports start at the root
    sys.path[0] = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))

from classifier.cli import stopping

if TYPE_CHECKING:
    from classifier.config.builders import ValidationImagesConfig


def _run(config: "ValidationImagesConfig") -> None:
    from datasets import imagenet_files

    moved = imagenet_files.sort_validation_images(config.data_dir, config.labels_file)
    print(f"{moved} images moved into the directories of their classes")


def main() -> int:
    """Runs the program; returns its exit code."""
    with stopping.before_work():  # the imports take a while
        from classifier.cli import flags
        from classifier.config.builders import ValidationImagesConfig

        return flags.main(ValidationImagesConfig, _run, __doc__, needs_tensorflow=False)


if __name__ == "__main__":
    sys.exit(stopping.last(main()))
