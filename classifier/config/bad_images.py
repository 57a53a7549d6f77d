"""Options of pictures that cannot be decoded."""

import dataclasses
from collections.abc import Iterator

from classifier.config import bounds
from classifier.config.options import Options, option

DEFAULT_MAX_FRACTION = 0.01


@dataclasses.dataclass(frozen=True, kw_only=True)
class BadImageOptions(Options):
    """Bad images."""

    on_bad_image: str = option(
        "error",
        "What to do with an image that cannot be decoded: error stops the run, skip leaves it out,"
        " names it and lists it in bad_files.csv of train_dir; evaluation inside training leaves"
        " it out too.",
        choices=("error", "skip"),
    )
    max_bad_fraction: float | None = option(
        None,
        "Share of the split's images above which left out ones stop the run; without it,"
        f" {DEFAULT_MAX_FRACTION}.",
        check=bounds.fraction,
    )

    @property
    def is_skipping(self) -> bool:
        """Whether bad images are left out."""
        return self.on_bad_image == "skip"

    def conflicts(self) -> Iterator[str]:
        """Yields a limit of what is not left out."""
        if self.max_bad_fraction is not None and not self.is_skipping:
            yield "max_bad_fraction needs on_bad_image=skip"
