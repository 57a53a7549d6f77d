"""Options of what a run does when something goes wrong."""

import dataclasses
from collections.abc import Iterator

from classifier.config import bounds
from classifier.config.options import Options, option

DEFAULT_NAN_RESTORES = 3


@dataclasses.dataclass(frozen=True, kw_only=True)
class FailureOptions(Options):
    """When something goes wrong."""

    on_nan: str = option(
        "stop",
        "What a loss or gradient that is no number does: stop the run, or restore the last"
        " checkpoint and go on with the batch behind the one that failed.",
        choices=("stop", "restore"),
    )
    max_nan_restores: int | None = option(
        None,
        "How often on_nan=restore may do so in all, resumed runs included; without it,"
        f" {DEFAULT_NAN_RESTORES}.",
        check=bounds.positive,
    )
    watchdog_minutes: float = option(
        10.0,
        "Minutes without a step, a checkpoint or an evaluation after which a message says what the"
        " run is at, what to try, and the stack of each thread; 0: never.",
        check=bounds.non_negative,
        resume="free",
    )

    def conflicts(self) -> Iterator[str]:
        """Yields the option that has nothing to act on."""
        if self.max_nan_restores is not None and self.on_nan == "stop":
            yield f"max_nan_restores={self.max_nan_restores} needs on_nan=restore"
