"""Options of the evaluation during training."""

import dataclasses
from collections.abc import Iterator

from classifier.config import bounds
from classifier.config.options import Options, option
from classifier.config.problems import Problem, named


@dataclasses.dataclass(frozen=True, kw_only=True)
class ValidationOptions(Options):
    """Evaluation during training."""

    eval_every_epochs: float = option(
        0.0,
        "Epochs between evaluations; the best checkpoint is kept in `best` in train_dir. 0"
        " disables.",
        check=bounds.non_negative,
    )
    eval_every_steps: int = option(
        0, "Steps between evaluations, instead of epochs. 0 disables.", check=bounds.non_negative
    )
    eval_split_name: str = option("validation", "Split to evaluate on.", resume="refused")
    early_stopping_patience: int = option(
        0,
        "Stop after this many evaluations without improvement. 0 disables.",
        check=bounds.non_negative,
    )

    def conflicts(self) -> Iterator[Problem]:
        """Yields contradictions."""
        epochs, steps = named("eval_every_epochs"), named("eval_every_steps")
        if self.eval_every_epochs and self.eval_every_steps:
            yield Problem("{} and {} are mutually exclusive", epochs, steps)
        if self.early_stopping_patience and not (self.eval_every_epochs or self.eval_every_steps):
            yield Problem(
                "{} needs {} or {}",
                named("early_stopping_patience", self.early_stopping_patience),
                epochs,
                steps,
            )
