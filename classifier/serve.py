"""Serves an image classifier over HTTP: TensorFlow Serving's REST API, and a page for images."""

import sys

from classifier.cli import stopping


def main() -> int:
    """Runs the server; returns its exit code."""
    with stopping.before_work("slim-serve"):  # the imports take a while
        from classifier.cli import flags
        from classifier.cli.exit_codes import ExitCode
        from classifier.config.origins import Origins
        from classifier.config.serving import PACKAGES, ServeConfig
        from slim import _checks, _programs

        def run(config: ServeConfig) -> ExitCode | None:
            _checks.installed(PACKAGES)
            from classifier.serving import run as serving  # after the flags: it loads TensorFlow

            return serving.run(config)

        def dry_run(config: ServeConfig, origins: Origins) -> None:
            from classifier.inference import dry_run as resolving

            resolving.prediction(config, origins)

        argv = ["slim-serve", *sys.argv[1:]]
        usage = _programs.command("slim-serve")
        example = "--model=export/saved_model --port=8501"
        return flags.main(
            ServeConfig, run, __doc__ or "", argv, usage=usage, example=example, dry_run=dry_run
        )


if __name__ == "__main__":
    sys.exit(stopping.last(main()))
