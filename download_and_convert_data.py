"""Downloads a dataset and converts it to TFRecord files, or verifies a dataset."""

import dataclasses
import sys
from typing import TYPE_CHECKING

from classifier.cli import stopping

if TYPE_CHECKING:
    from classifier.config.conversion import DataConfig


def _run(config: "DataConfig") -> None:
    from datasets import download_and_convert

    download_and_convert.run(**dataclasses.asdict(config))


def _dry_run(config: "DataConfig", _: object) -> None:
    from datasets import download_and_convert

    download_and_convert.check_options(**dataclasses.asdict(config))


def main() -> int:
    """Runs the script; returns its exit code."""
    with stopping.before_work():  # the imports take a while
        from classifier.cli import flags
        from classifier.config.conversion import DataConfig

        example = "--dataset_name=flowers --dataset_dir=flowers"
        return flags.main(DataConfig, _run, __doc__, example=example, dry_run=_dry_run)


if __name__ == "__main__":
    sys.exit(stopping.last(main()))
