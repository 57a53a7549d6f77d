"""Options of fine-tuning."""

import dataclasses
from collections.abc import Iterator

from classifier.options import Options, option


@dataclasses.dataclass(frozen=True, kw_only=True)
class FinetuneOptions(Options):
    """Fine-tuning."""

    checkpoint_path: str | None = option(
        None, "Checkpoint, or folder of checkpoints, that a new run starts from.", path="checkpoint"
    )
    checkpoint_exclude_scopes: tuple[str, ...] = option(
        (), "Scopes of the variables that are not taken from that checkpoint, separated by commas."
    )
    trainable_scopes: tuple[str, ...] = option(
        (), "Scopes of the variables to train; without it, all.", resume="refused"
    )
    ignore_missing_vars: bool = option(
        False, "Go on when that checkpoint lacks variables; they start fresh."
    )

    def conflicts(self) -> Iterator[str]:
        """Yields the options that say how to restore when there is nothing to restore."""
        if self.checkpoint_path is None:
            for name in ("checkpoint_exclude_scopes", "ignore_missing_vars"):
                if getattr(self, name):
                    yield f"{name} needs checkpoint_path: it says what to take from that checkpoint"
