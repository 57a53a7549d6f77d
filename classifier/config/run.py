"""Options of the run, its log and its checkpoints."""

import dataclasses
from collections.abc import Iterator

from classifier.config import bounds
from classifier.config.options import Options, option, required
from classifier.config.problems import Problem, named


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunOptions(Options):
    """Run."""

    train_dir: str = required(
        "Directory of the run, for checkpoints, events and metrics. If it holds a run, that run is"
        " resumed.",
        path="new_directory",
        resume="free",
        tf_slim="/tmp/tfmodel/",
    )
    restart: bool = option(
        False,
        "Start over: move an existing run in train_dir to a backup directory there. Remove the flag"
        " to resume the new run.",
        resume="free",
    )
    max_number_of_steps: int | None = option(
        None,
        "Total number of training steps, including those before a resume. Default: no limit.",
        check=bounds.positive,
    )
    max_number_of_epochs: float | None = option(
        None, "Total number of training epochs, instead of steps.", check=bounds.positive
    )
    seed: int = option(
        0,
        "Seed of initialization, shuffling, augmentation and dropout.",
        check=bounds.seed,
        resume="refused",
    )
    steps_per_loop: int = option(1, "Training steps per host round trip.", check=bounds.positive)

    def conflicts(self) -> Iterator[Problem]:
        """Yields contradictions."""
        if self.max_number_of_steps is not None and self.max_number_of_epochs is not None:
            yield Problem(
                "{} and {} are mutually exclusive",
                named("max_number_of_steps"),
                named("max_number_of_epochs"),
            )


@dataclasses.dataclass(frozen=True, kw_only=True)
class SavingOptions(Options):
    """Logging and checkpoints."""

    log_every_n_steps: int = option(10, "Steps between log lines.", check=bounds.positive)
    save_summaries_secs: int = option(
        600,
        "Seconds between TensorBoard summaries. 0 disables.",
        check=bounds.non_negative,
    )
    summarize_images: bool = option(
        False,
        "Write some augmented training images to `images` in train_dir and to each TensorBoard"
        " summary.",
    )
    save_interval_secs: int = option(
        600, "Seconds between checkpoints. 0 disables.", check=bounds.non_negative
    )
    save_interval_steps: int = option(
        0, "Steps between checkpoints. 0 disables.", check=bounds.non_negative
    )
    save_interval_epochs: float = option(
        0.0, "Epochs between checkpoints, instead of steps. 0 disables.", check=bounds.non_negative
    )
    max_to_keep: int = option(
        5, "Number of newest checkpoints to keep. 0 keeps all.", check=bounds.non_negative
    )
    keep_checkpoint_every_n_hours: float = option(
        0.0,
        "Additionally keep one checkpoint per this many hours of training. 0 disables.",
        check=bounds.non_negative,
    )

    def conflicts(self) -> Iterator[Problem]:
        """Yields contradictions."""
        if self.save_interval_steps and self.save_interval_epochs:
            yield Problem(
                "{} and {} are mutually exclusive",
                named("save_interval_steps"),
                named("save_interval_epochs"),
            )
