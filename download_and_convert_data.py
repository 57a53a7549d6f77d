"""Downloads a dataset and converts it to TFRecord files, or verifies a dataset."""

import sys
from typing import TYPE_CHECKING

from classifier.cli import stopping

if TYPE_CHECKING:
    from classifier.config.conversion import DataConfig


def _run(config: "DataConfig") -> None:
    from datasets import download_and_convert

    download_and_convert.run(
        config.dataset_name,
        config.dataset_dir,
        source_dir=config.source_dir,
        dataset_file=config.dataset_file,
        labels_file=config.labels_file,
        validation_fraction=config.validation_fraction,
        split_seed=config.split_seed,
        multi_label=config.multi_label,
        on_bad_image=config.on_bad_image,
        max_pixels=config.max_pixels,
        small_object_area_threshold=config.small_object_area_threshold,
        foreground_class_of_interest=config.foreground_class_of_interest,
    )


def main() -> int:
    """Runs the script; returns its exit code."""
    with stopping.before_work():  # the imports take a while
        from classifier.cli import flags
        from classifier.config.conversion import DataConfig

        return flags.main(DataConfig, _run, __doc__)


if __name__ == "__main__":
    sys.exit(stopping.last(main()))
