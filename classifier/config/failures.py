"""Options of a run's reaction to failures."""

import dataclasses
from collections.abc import Iterator

from classifier.config import bounds
from classifier.config.options import Options, option
from classifier.config.problems import Problem, named

DEFAULT_NAN_RESTORES = 3


@dataclasses.dataclass(frozen=True, kw_only=True)
class FailureOptions(Options):
    """Failures."""

    on_nan: str = option(
        "stop",
        "What to do when the loss or a gradient becomes NaN or infinite: stop aborts; restore rolls"
        " back to the last checkpoint and skips the batches since then.",
        choices=("stop", "restore"),
    )
    max_nan_restores: int | None = option(
        None,
        "Maximum number of rollbacks of --on_nan=restore in a run, including resumed ones."
        f" Default: {DEFAULT_NAN_RESTORES}.",
        check=bounds.positive,
    )
    watchdog_minutes: float = option(
        10.0,
        "Minutes without a step, a checkpoint or an evaluation after which to report what the run"
        " is doing, what to try, and the stack of each thread. 0 disables.",
        check=bounds.non_negative,
        resume="free",
    )

    def conflicts(self) -> Iterator[Problem]:
        """Yields contradictions."""
        if self.max_nan_restores is not None and self.on_nan == "stop":
            yield Problem(
                "{} needs {}",
                named("max_nan_restores", self.max_nan_restores),
                named("on_nan", "restore"),
            )
