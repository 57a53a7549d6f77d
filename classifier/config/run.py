"""Options of the run, its devices, and what it writes."""

import dataclasses
from collections.abc import Iterator

from classifier.config import bounds
from classifier.config.options import Options, option, required


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunOptions(Options):
    """The run."""

    train_dir: str = required(
        "Folder of the run: checkpoints, events, metrics. The same command again resumes it.",
        path="new_folder",
        resume="free",
    )
    restart: bool = option(
        False,
        "Begin anew though train_dir has a run: its files are moved to `set_aside` there. Leave it"
        " out to go on.",
        resume="free",
    )
    max_number_of_steps: int | None = option(
        None,
        "Training steps in all, resumed ones included; without it, until stopped.",
        check=bounds.positive,
    )
    max_number_of_epochs: float | None = option(
        None, "The same in epochs, instead of steps.", check=bounds.positive
    )
    seed: int = option(
        0,
        "Seed of the variables, the order of the examples, augmentation and dropout.",
        check=bounds.seed,
        resume="refused",
    )
    steps_per_loop: int = option(
        1, "Training steps between two looks of Python at the device.", check=bounds.positive
    )

    def conflicts(self) -> Iterator[str]:
        """Yields an end that is told twice."""
        if self.max_number_of_steps is not None and self.max_number_of_epochs is not None:
            yield "max_number_of_steps and max_number_of_epochs both say the end: give one of them"


@dataclasses.dataclass(frozen=True, kw_only=True)
class SavingOptions(Options):
    """Logging and saving."""

    log_every_n_steps: int = option(10, "Steps between two log lines.", check=bounds.positive)
    save_summaries_secs: int = option(
        600,
        "Seconds between two summaries for TensorBoard; 0 writes none.",
        check=bounds.non_negative,
    )
    summarize_images: bool = option(
        False,
        "Write some training images, as the network gets them, to `images` in train_dir and, with"
        " each summary, for TensorBoard.",
    )
    save_interval_secs: int = option(
        600, "Seconds between two checkpoints; 0 does not save by time.", check=bounds.non_negative
    )
    save_interval_steps: int = option(
        0, "Steps between two checkpoints; 0 does not save by steps.", check=bounds.non_negative
    )
    save_interval_epochs: float = option(
        0.0, "The same in epochs, instead of steps.", check=bounds.non_negative
    )
    max_to_keep: int = option(
        5, "Newest checkpoints to keep; 0 keeps all.", check=bounds.non_negative
    )
    keep_checkpoint_every_n_hours: float = option(
        0.0,
        "Hours of training after which one more checkpoint is kept for good; 0: none.",
        check=bounds.non_negative,
    )

    def conflicts(self) -> Iterator[str]:
        """Yields an interval that is told twice."""
        if self.save_interval_steps and self.save_interval_epochs:
            yield (
                "save_interval_steps and save_interval_epochs say the same twice: give one of them"
            )
