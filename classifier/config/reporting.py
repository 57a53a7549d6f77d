"""Options of what a run shows of itself, beside its log."""

import dataclasses

from classifier.config import bounds
from classifier.config.options import Options, option


@dataclasses.dataclass(frozen=True, kw_only=True)
class ReportingOptions(Options):
    """Looking into a run."""

    profile_steps: tuple[int, ...] | None = option(
        None,
        "First and last step, such as 100,110, of which TensorFlow's profiler writes a trace to"
        " train_dir, for TensorBoard.",
        check=bounds.step_range,
        resume="free",
    )
    plot_curves: bool = option(
        False,
        "Draw loss, accuracy and learning rate to `curves.png` in train_dir, after each epoch and"
        " each evaluation and at the end; needs matplotlib.",
        resume="free",
    )
