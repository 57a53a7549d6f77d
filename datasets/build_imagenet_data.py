"""Builds the dataset ImageNet from directories of images, one per class."""

import os
import sys
from typing import TYPE_CHECKING

if not __package__:  # run as a file: its imports start at the root
    sys.path[0] = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))

from classifier.cli import stopping

if TYPE_CHECKING:
    from classifier.config.builders import ImageNetConfig


def _run(config: "ImageNetConfig") -> None:
    from datasets import download_and_convert, imagenet

    download_and_convert.build(
        imagenet.build,
        "imagenet",
        config.output_directory,
        train_directory=config.train_directory,
        validation_directory=config.validation_directory,
        labels_file=config.labels_file,
        imagenet_metadata_file=config.imagenet_metadata_file,
        bounding_box_file=config.bounding_box_file,
        train_shards=config.train_shards,
        validation_shards=config.validation_shards,
        num_threads=config.num_threads,
        on_bad_image=config.on_bad_image,
        max_pixels=config.max_pixels,
    )


def main() -> int:
    """Runs the program; returns its exit code."""
    with stopping.before_work():  # the imports take a while
        from classifier.cli import flags
        from classifier.config.builders import ImageNetConfig

        return flags.main(ImageNetConfig, _run, __doc__)


if __name__ == "__main__":
    sys.exit(stopping.last(main()))
