"""Options of images that cannot be decoded."""

import dataclasses
from collections.abc import Iterator

from classifier.config import bounds
from classifier.config.options import Options, option
from classifier.config.problems import Problem, named

DEFAULT_MAX_FRACTION = 0.01


@dataclasses.dataclass(frozen=True, kw_only=True)
class BadImageOptions(Options):
    """Bad images."""

    on_bad_image: str = option(
        "error",
        "What to do when an image cannot be decoded: error aborts; skip excludes it from training"
        " and from evaluation during training, reports it, and lists it in bad_files.csv in"
        " train_dir.",
        choices=("error", "skip"),
    )
    max_bad_fraction: float | None = option(
        None,
        "Abort if more than this fraction of the split's images is skipped. Default:"
        f" {DEFAULT_MAX_FRACTION}.",
        check=bounds.fraction,
    )

    @property
    def is_skipping(self) -> bool:
        """Whether bad images are skipped."""
        return self.on_bad_image == "skip"

    def conflicts(self) -> Iterator[Problem]:
        """Yields contradictions."""
        if self.max_bad_fraction is not None and not self.is_skipping:
            yield Problem("{} needs {}", named("max_bad_fraction"), named("on_bad_image", "skip"))
