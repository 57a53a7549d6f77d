"""Exports a checkpoint to deployment formats and checks each format against the checkpoint, or
exports a network's graph without weights, for TensorFlow's freeze_graph.

  --checkpoint_path=TRAIN_DIR --output_dir=DIRECTORY
  --model_name=inception_v3 --output_file=FILE.pb
"""

import sys

from classifier.cli import stopping


def main() -> int:
    """Runs the script; returns its exit code."""
    with stopping.before_work():  # the imports take a while
        from classifier.cli import flags
        from classifier.cli.exit_codes import ExitCode
        from classifier.config.export import ExportConfig
        from classifier.config.origins import Origins

        def run(config: ExportConfig) -> ExitCode | None:
            from classifier.export import run as exporting  # after the flags: it loads TensorFlow

            return exporting.run(config)

        def dry_run(config: ExportConfig, origins: Origins) -> None:
            from classifier.export import dry_run as resolving

            resolving.resolve(config, origins)

        example = "--checkpoint_path=run --output_dir=export --formats=saved_model"
        return flags.main(ExportConfig, run, __doc__, example=example, dry_run=dry_run)


if __name__ == "__main__":
    sys.exit(stopping.last(main()))
