"""Options of the learning rate. Every duration is told in epochs or in steps."""

import dataclasses
from collections.abc import Iterator, Mapping

from classifier.config import bounds
from classifier.config.options import Options, option

DECAYS = ("fixed", "exponential", "polynomial", "cosine", "piecewise")
_GRADUAL = ("exponential", "polynomial", "cosine")

# Which decays read an option.
_READ_BY: Mapping[str, tuple[str, ...]] = {
    "end_learning_rate": ("polynomial", "cosine"),
    "learning_rate_decay_factor": ("exponential", "piecewise"),
    "num_epochs_per_decay": _GRADUAL,
    "decay_steps": _GRADUAL,
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class ScheduleOptions(Options):
    """Learning rate."""

    learning_rate: float = option(0.01, "Initial learning rate.", check=bounds.positive)
    learning_rate_decay_type: str = option(
        "exponential", "How the learning rate falls.", choices=DECAYS
    )
    end_learning_rate: float = option(
        0.0001, "Last learning rate of the polynomial and cosine decay.", check=bounds.non_negative
    )
    learning_rate_decay_factor: float = option(
        0.94,
        "Factor of each step of the exponential decay, and of the piecewise one without rates.",
        check=bounds.positive,
    )
    num_epochs_per_decay: float = option(
        2.0,
        "Epochs, counted in global batches, of one exponential step or of the whole polynomial or"
        " cosine decay.",
        check=bounds.positive,
    )
    decay_steps: int | None = option(
        None, "The same in steps; comes before the epochs.", check=bounds.positive
    )
    piecewise_epochs: tuple[float, ...] = option(
        (),
        "Epochs after which the piecewise learning rate changes, separated by commas.",
        check=bounds.rising,
    )
    piecewise_steps: tuple[int, ...] = option(
        (), "The same in steps, instead of epochs.", check=bounds.rising
    )
    piecewise_rates: tuple[float, ...] = option(
        (),
        "Learning rates after each of them; default: learning_rate_decay_factor times the last.",
        check=bounds.each_non_negative,
    )
    warmup_epochs: float = option(
        0.0, "Epochs over which the learning rate rises from 0.", check=bounds.non_negative
    )
    warmup_steps: int = option(
        0, "The same in steps, instead of epochs.", check=bounds.non_negative
    )
    learning_rate_multipliers: tuple[str, ...] = option(
        (),
        "Factors of the learning rate by scope, such as InceptionV3/Logits:10,InceptionV3/Mixed_*:2"
        "; of scopes that a variable lies in, the longest counts.",
        check=bounds.scope_factors,
    )
    decay_per_clone: bool = option(
        False,
        "Count the epochs of the learning rate in the batches of one clone, as the original does,"
        " not in global ones: they then last as many times longer as there are clones. With"
        " sync_replicas, it counts those of replicas_to_aggregate workers.",
    )

    def conflicts(self) -> Iterator[str]:
        """Yields durations that are told twice, and piecewise options that do not fit."""
        for epochs, steps in (
            ("warmup_epochs", "warmup_steps"),
            ("piecewise_epochs", "piecewise_steps"),
        ):
            if getattr(self, epochs) and getattr(self, steps):
                yield f"{epochs} and {steps} say the same duration twice: give one of them"
        boundaries = self.piecewise_epochs or self.piecewise_steps
        is_piecewise = self.learning_rate_decay_type == "piecewise"
        if is_piecewise and not boundaries:
            yield "learning_rate_decay_type=piecewise needs piecewise_epochs or piecewise_steps"
        if not is_piecewise and (boundaries or self.piecewise_rates):
            yield (
                "piecewise_epochs, piecewise_steps and piecewise_rates need"
                " learning_rate_decay_type=piecewise"
            )
        if is_piecewise and self.piecewise_rates and len(self.piecewise_rates) != len(boundaries):
            yield (
                f"piecewise_rates has {len(self.piecewise_rates)} rates for"
                f" {len(boundaries)} changes; the first rate of all is learning_rate"
            )

    @property
    def is_in_epochs(self) -> bool:
        """Whether a duration that acts is told in epochs."""
        decay = self.learning_rate_decay_type in _GRADUAL and self.decay_steps is None
        return bool(decay or self.piecewise_epochs or self.warmup_epochs)

    def without_effect(self) -> Iterator[str]:
        """Yields the options that have nothing to act on."""
        kind = self.learning_rate_decay_type
        idle = {
            name: f"learning_rate_decay_type={kind}"
            for name, decays in _READ_BY.items()
            if kind not in decays
        }
        if self.piecewise_rates:
            idle["learning_rate_decay_factor"] = "piecewise_rates say the learning rates"
        if self.decay_steps is not None:
            idle.setdefault("num_epochs_per_decay", f"decay_steps={self.decay_steps}")
        if not self.is_in_epochs:
            idle["decay_per_clone"] = "no duration of the learning rate is in epochs"
        for name, why in idle.items():
            if self.is_changed(name):
                value = getattr(self, name)
                shown = name if value is True else f"{name}={value:g}"
                yield f"{shown} has nothing to act on: {why}"
