"""Options of evaluation inside training."""

import dataclasses
from collections.abc import Iterator

from classifier.config import bounds
from classifier.config.options import Options, option


@dataclasses.dataclass(frozen=True, kw_only=True)
class ValidationOptions(Options):
    """Evaluation inside training."""

    eval_every_epochs: float = option(
        0.0,
        "Epochs between two evaluations inside training; the best checkpoint is kept in `best`."
        " 0: none.",
        check=bounds.non_negative,
    )
    eval_every_steps: int = option(
        0, "The same in steps, instead of epochs.", check=bounds.non_negative
    )
    eval_split_name: str = option("validation", "Split that they evaluate on.", resume="refused")
    early_stopping_patience: int = option(
        0,
        "Evaluations without a better accuracy after which training ends; 0: it goes on.",
        check=bounds.non_negative,
    )

    def conflicts(self) -> Iterator[str]:
        """Yields the option that has nothing to act on, and an interval told twice."""
        if self.eval_every_epochs and self.eval_every_steps:
            yield "eval_every_epochs and eval_every_steps say the same twice: give one of them"
        if self.early_stopping_patience and not (self.eval_every_epochs or self.eval_every_steps):
            yield (
                f"early_stopping_patience={self.early_stopping_patience} counts evaluations, and"
                " there are none: set eval_every_epochs"
            )
