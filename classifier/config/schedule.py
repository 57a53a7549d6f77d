"""Options of the learning rate. Every duration is in epochs or in steps."""

import dataclasses
from collections.abc import Iterator, Mapping

from classifier.config import bounds
from classifier.config.options import Options, option
from classifier.config.problems import Mention, Problem, named

AUTO_RATE = 0.0
_COSINES = ("cosine", "cosine_restarts")
_GRADUAL = ("exponential", "polynomial", *_COSINES, "one_cycle")
DECAYS = ("fixed", *_GRADUAL, "piecewise")

# Option -> decays that read it.
_READERS: Mapping[str, tuple[str, ...]] = {
    "end_learning_rate": _GRADUAL[1:],
    "learning_rate_decay_factor": ("exponential", "piecewise"),
    "num_epochs_per_decay": _GRADUAL,
    "decay_steps": _GRADUAL,
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class ScheduleOptions(Options):
    """Learning rate."""

    learning_rate: float = option(
        0.01,
        "Initial learning rate; auto: from a range test of at most 20 steps before the first one.",
        check=bounds.positive,
        auto=AUTO_RATE,
    )
    learning_rate_decay_type: str = option(
        "exponential", "Decay of the learning rate.", choices=DECAYS
    )
    end_learning_rate: float = option(
        0.0001,
        "Final learning rate of the polynomial, cosine, cosine_restarts and one_cycle decay.",
        check=bounds.non_negative,
    )
    learning_rate_decay_factor: float = option(
        0.94,
        "Factor of each step of the exponential decay, and of the piecewise decay without"
        " --piecewise_rates.",
        check=bounds.positive,
    )
    num_epochs_per_decay: float = option(
        2.0,
        "Epochs, counted in global batches, of one step of the exponential decay, of the first"
        " period of cosine_restarts, or of the complete polynomial, cosine or one_cycle decay.",
        check=bounds.positive,
    )
    decay_steps: int | None = option(
        None,
        "Duration of a decay in steps; overrides --num_epochs_per_decay.",
        check=bounds.positive,
    )
    restart_period_factor: float = option(
        2.0,
        "Duration of each period of cosine_restarts relative to the one before, at least 1.",
        check=bounds.at_least_one,
    )
    restart_rate_factor: float = option(
        1.0,
        "Highest learning rate of each period of cosine_restarts relative to the one before, 0 to"
        " 1.",
        check=bounds.fraction,
    )
    one_cycle_start_factor: float = option(
        0.1,
        "Learning rate at the start of one_cycle, relative to --learning_rate, its peak, 0 to 1.",
        check=bounds.fraction,
    )
    one_cycle_peak: float = option(
        0.45,
        "Fraction of one_cycle at which the learning rate peaks, below 0.5: it falls to that of the"
        " start in as many steps, and to --end_learning_rate in the rest.",
        check=bounds.below_half,
    )
    piecewise_epochs: tuple[float, ...] = option(
        (),
        "Epochs after which the piecewise learning rate changes, separated by commas.",
        check=bounds.rising,
    )
    piecewise_steps: tuple[int, ...] = option(
        (),
        "Steps after which the piecewise learning rate changes, instead of epochs.",
        check=bounds.rising,
    )
    piecewise_rates: tuple[float, ...] = option(
        (),
        "Learning rate after each change, separated by commas. Default: the previous rate times"
        " --learning_rate_decay_factor.",
        check=bounds.each_non_negative,
    )
    warmup_epochs: float = option(
        0.0,
        "Epochs of linear warm-up from learning rate 0. 0 disables.",
        check=bounds.non_negative,
    )
    warmup_steps: int = option(
        0, "Steps of warm-up, instead of epochs. 0 disables.", check=bounds.non_negative
    )
    learning_rate_multipliers: tuple[str, ...] = option(
        (),
        "Learning rate factors by scope, such as InceptionV3/Logits:10,InceptionV3/Mixed_*:2. The"
        " longest scope that contains a variable applies.",
        check=bounds.scope_factors,
    )
    layer_decay: float = option(
        1.0,
        "Factor of the learning rate from each block of the network to the block before it, 0 to 1;"
        " the head has the full rate.",
        check=bounds.fraction,
    )
    decay_per_clone: bool = option(
        False,
        "Count the epochs of the learning rate in the batches of one clone, as TF-Slim does, rather"
        " than in global batches. With --sync_replicas, count those of --replicas_to_aggregate"
        " workers.",
    )

    def conflicts(self) -> Iterator[Problem]:
        """Yields durations in both units, and options of another decay."""
        for epochs, steps in (
            ("warmup_epochs", "warmup_steps"),
            ("piecewise_epochs", "piecewise_steps"),
        ):
            if getattr(self, epochs) and getattr(self, steps):
                yield Problem("{} and {} are mutually exclusive", named(epochs), named(steps))
        for prefix, decay in (("restart_", "cosine_restarts"), ("one_cycle_", "one_cycle")):
            for name in vars(self):
                is_set = name.startswith(prefix) and self.is_changed(name)
                if is_set and self.learning_rate_decay_type != decay:
                    other = named("learning_rate_decay_type", decay)
                    yield Problem("{} needs {}", named(name), other)
        yield from self._piecewise_conflicts()

    def _piecewise_conflicts(self) -> Iterator[Problem]:
        boundaries = self.piecewise_epochs or self.piecewise_steps
        epochs, steps, rates = map(
            named, ("piecewise_epochs", "piecewise_steps", "piecewise_rates")
        )
        piecewise = named("learning_rate_decay_type", "piecewise")
        is_piecewise = self.learning_rate_decay_type == "piecewise"
        if is_piecewise and not boundaries:
            yield Problem("{} needs {} or {}", piecewise, epochs, steps)
        if not is_piecewise and (boundaries or self.piecewise_rates):
            yield Problem("{}, {} and {} need {}", epochs, steps, rates, piecewise)
        if is_piecewise and self.piecewise_rates and len(self.piecewise_rates) != len(boundaries):
            yield Problem(
                "{} has {} rates for {} changes; {} is the rate before the first change",
                rates,
                len(self.piecewise_rates),
                len(boundaries),
                named("learning_rate"),
            )

    @property
    def is_in_epochs(self) -> bool:
        """Whether a duration in use is in epochs."""
        decay = self.learning_rate_decay_type in _GRADUAL and self.decay_steps is None
        return bool(decay or self.piecewise_epochs or self.warmup_epochs)

    def without_effect(self) -> Iterator[Problem]:
        """Yields the options that have no effect."""
        decay = self.learning_rate_decay_type
        idle: dict[str, Mention] = {
            name: named("learning_rate_decay_type", decay)
            for name, decays in _READERS.items()
            if decay not in decays
        }
        if self.piecewise_rates:
            idle["learning_rate_decay_factor"] = named("piecewise_rates")
        if self.decay_steps is not None:
            idle.setdefault("num_epochs_per_decay", named("decay_steps", self.decay_steps))
        for name, other in idle.items():
            if self.is_changed(name):
                mention = named(name, getattr(self, name))
                yield Problem("{} has no effect with {}", mention, other)
        if self.decay_per_clone and not self.is_in_epochs:
            yield Problem(
                "{} has no effect: no duration of the learning rate is in epochs",
                named("decay_per_clone"),
            )
