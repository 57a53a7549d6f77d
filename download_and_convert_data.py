"""Gets a dataset and converts it to TFRecord files."""

import sys

from classifier import flags
from classifier.config import DataConfig
from datasets import download_and_convert


def _run(config: DataConfig) -> None:
    download_and_convert.convert(config.dataset_name, config.dataset_dir)


def main() -> int:
    """Runs the script; returns its exit code."""
    return flags.main(DataConfig, _run, __doc__)


if __name__ == "__main__":
    sys.exit(main())
