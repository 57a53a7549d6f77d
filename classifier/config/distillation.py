"""Options of knowledge distillation."""

import dataclasses
from collections.abc import Iterator

from classifier.config import bounds
from classifier.config.options import Options, option
from classifier.config.problems import Problem, named


@dataclasses.dataclass(frozen=True, kw_only=True)
class DistillationOptions(Options):
    """Knowledge distillation."""

    teacher_checkpoint_path: str | None = option(
        None,
        "Run directory, checkpoint or name of a published checkpoint of a network for the same"
        " classes, whose probabilities are targets of the loss as well. Default: none.",
        path="checkpoint",
    )
    teacher_model_name: str | None = option(
        None,
        "Name of the teacher's network. Default: from model_info.json next to its checkpoint, or"
        " from the table of published checkpoints.",
        table="networks",
    )
    distillation_weight: float = option(
        0.5,
        "Weight of the teacher in the loss, 0 to 1; the labels have the rest.",
        check=bounds.fraction,
    )
    distillation_temperature: float = option(
        4.0,
        "Divisor of the logits of teacher and network in the loss; a higher one weights small"
        " probabilities more.",
        check=bounds.positive,
    )

    def conflicts(self) -> Iterator[Problem]:
        """Yields options without a teacher."""
        if self.teacher_checkpoint_path is None:
            for name in vars(self):
                if self.is_changed(name):
                    yield Problem("{} needs {}", named(name), named("teacher_checkpoint_path"))
