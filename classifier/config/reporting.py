"""Options of a run's diagnostics."""

import dataclasses

from classifier.config import bounds
from classifier.config.options import Options, option


@dataclasses.dataclass(frozen=True, kw_only=True)
class ReportingOptions(Options):
    """Diagnostics."""

    profile_steps: tuple[int, ...] | None = option(
        None,
        "First and last step to profile, such as 100,110; the trace is written to train_dir, for"
        " TensorBoard. Default: none.",
        check=bounds.step_range,
        resume="free",
    )
    plot_curves: bool = option(
        False,
        "Plot loss, accuracy and learning rate to curves.png in train_dir, after each epoch, after"
        " each evaluation and at the end. Needs matplotlib.",
        resume="free",
    )
