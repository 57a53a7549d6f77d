"""Builds the dataset Visual Wake Words from unpacked images and annotations of COCO."""

import os
import sys
from typing import TYPE_CHECKING

if not __package__:  # run as a file: its imports start at the root
    sys.path[0] = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))

from classifier.cli import stopping

if TYPE_CHECKING:
    from classifier.config.builders import VisualWakeWordsConfig


def _run(config: "VisualWakeWordsConfig") -> None:
    from datasets import download_and_convert, visualwakewords

    download_and_convert.build(
        visualwakewords.build,
        "visualwakewords",
        config.output_dir,
        train_image_dir=config.train_image_dir,
        val_image_dir=config.val_image_dir,
        train_annotations_file=config.train_annotations_file,
        val_annotations_file=config.val_annotations_file,
        small_object_area_threshold=config.small_object_area_threshold,
        foreground_class_of_interest=config.foreground_class_of_interest,
        on_bad_image=config.on_bad_image,
        max_pixels=config.max_pixels,
    )


def main() -> int:
    """Runs the program; returns its exit code."""
    with stopping.before_work():  # the imports take a while
        from classifier.cli import flags
        from classifier.config.builders import VisualWakeWordsConfig

        return flags.main(VisualWakeWordsConfig, _run, __doc__)


if __name__ == "__main__":
    sys.exit(stopping.last(main()))
