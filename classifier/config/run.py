"""Options of the run, its devices, and what it writes."""

import dataclasses

from classifier.config import bounds
from classifier.options import Options, option, required


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunOptions(Options):
    """The run."""

    train_dir: str = required(
        "Folder of the run: checkpoints, events, metrics. The same command again resumes it.",
        path="new_folder",
        resume="free",
    )
    max_number_of_steps: int | None = option(
        None,
        "Training steps in all, resumed ones included; without it, until stopped.",
        check=bounds.positive,
    )
    seed: int = option(
        0,
        "Seed of the variables, the order of the examples, augmentation and dropout.",
        check=bounds.non_negative,
        resume="refused",
    )
    steps_per_loop: int = option(
        1, "Training steps between two looks of Python at the device.", check=bounds.positive
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class SavingOptions(Options):
    """Logging and saving."""

    log_every_n_steps: int = option(10, "Steps between two log lines.", check=bounds.positive)
    save_summaries_secs: int = option(
        600,
        "Seconds between two summaries for TensorBoard; 0 writes none.",
        check=bounds.non_negative,
    )
    save_interval_secs: int = option(
        600, "Seconds between two checkpoints; 0 does not save by time.", check=bounds.non_negative
    )
    save_interval_steps: int = option(
        0, "Steps between two checkpoints; 0 does not save by steps.", check=bounds.non_negative
    )
    max_to_keep: int = option(
        5, "Newest checkpoints to keep; 0 keeps all.", check=bounds.non_negative
    )
    keep_checkpoint_every_n_hours: float = option(
        0.0,
        "Hours of training after which one more checkpoint is kept for good; 0: none.",
        check=bounds.non_negative,
    )
