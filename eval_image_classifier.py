"""Evaluates a checkpoint on a split of a dataset."""

import sys

from classifier.cli import stopping


def main() -> int:
    """Runs the script; returns its exit code."""
    with stopping.before_work():  # the imports take a while
        from classifier.cli import flags
        from classifier.cli.exit_codes import ExitCode
        from classifier.config.evaluation import EvalConfig
        from classifier.config.origins import Origins

        def run(config: EvalConfig) -> ExitCode | None:
            from classifier import report  # after the flags: it loads TensorFlow

            return report.evaluate(config)

        def dry_run(config: EvalConfig, origins: Origins) -> None:
            from classifier.inference import dry_run as resolving

            resolving.evaluation(config, origins)

        example = "--train_dir=run --report_dir=report"
        return flags.main(EvalConfig, run, __doc__, example=example, dry_run=dry_run)


if __name__ == "__main__":
    sys.exit(stopping.last(main()))
