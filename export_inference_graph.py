"""Writes a checkpoint in the formats that other programs run, and checks each against it."""

import sys

from classifier import flags
from classifier.config.export import ExportConfig
from classifier.exit_codes import ExitCode


def _run(config: ExportConfig) -> ExitCode | None:
    from classifier import exporting  # after the flags: it loads TensorFlow

    return exporting.run(config)


def main() -> int:
    """Runs the script; returns its exit code."""
    return flags.main(ExportConfig, _run, __doc__)


if __name__ == "__main__":
    sys.exit(main())
