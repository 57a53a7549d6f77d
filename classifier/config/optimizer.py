"""Options of the optimizer."""

import dataclasses
from collections.abc import Iterator, Mapping

from classifier.config import bounds
from classifier.options import Options, option

_ORIGINALS = ("adadelta", "adagrad", "adam", "ftrl", "momentum", "rmsprop", "sgd")
DECOUPLED = ("adafactor", "adamw", "lamb", "lion", "muon")
OPTIMIZERS = (*_ORIGINALS, *DECOUPLED)

_LIKE_ADAMW = ("adamw", "lamb", "muon")
# Which optimizers read an option.
READ_BY: Mapping[str, tuple[str, ...]] = {
    "adadelta_rho": ("adadelta",),
    "adagrad_initial_accumulator_value": ("adagrad",),
    "adam_beta1": ("adam", *_LIKE_ADAMW),
    "adam_beta2": ("adam", *_LIKE_ADAMW),
    "adamw_epsilon": _LIKE_ADAMW,
    "optimizer_weight_decay": DECOUPLED,
    "lion_beta1": ("lion",),
    "lion_beta2": ("lion",),
    "muon_momentum": ("muon",),
    "adafactor_beta2_decay": ("adafactor",),
    "adafactor_clip_threshold": ("adafactor",),
    "opt_epsilon": ("adadelta", "adam", "rmsprop"),
    "ftrl_learning_rate_power": ("ftrl",),
    "ftrl_initial_accumulator_value": ("ftrl",),
    "ftrl_l1": ("ftrl",),
    "ftrl_l2": ("ftrl",),
    "momentum": ("momentum",),
    "rmsprop_momentum": ("rmsprop",),
    "rmsprop_decay": ("rmsprop",),
}
# Options that are easily taken for each other.
_ALIKE = (
    ("opt_epsilon", "adamw_epsilon"),
    ("momentum", "rmsprop_momentum", "muon_momentum"),
    ("adam_beta1", "lion_beta1"),
    ("adam_beta2", "lion_beta2"),
    ("adagrad_initial_accumulator_value", "ftrl_initial_accumulator_value"),
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class OptimizerOptions(Options):
    """Optimizer."""

    optimizer: str = option(
        "rmsprop", "Name of the optimizer.", choices=OPTIMIZERS, resume="refused"
    )
    adadelta_rho: float = option(0.95, "Decay rate of adadelta.", check=bounds.fraction)
    adagrad_initial_accumulator_value: float = option(
        0.1, "Starting value of adagrad's accumulators.", check=bounds.positive
    )
    adam_beta1: float = option(
        0.9,
        "Decay rate of the first moments of adam, adamw, lamb and muon.",
        check=bounds.fraction,
    )
    adam_beta2: float = option(
        0.999, "Decay rate of the second moments of the same.", check=bounds.fraction
    )
    adamw_epsilon: float = option(
        1e-7, "Epsilon of adamw, lamb and muon.", check=bounds.non_negative
    )
    optimizer_weight_decay: float | None = option(
        None,
        "Weight decay of adafactor, adamw, lamb, lion and muon, beside the loss's L2 penalty;"
        " default: 0.004 for adamw and muon, 0 for the others.",
        check=bounds.non_negative,
    )
    lion_beta1: float = option(
        0.9, "Share of past gradients in a step of lion.", check=bounds.fraction
    )
    lion_beta2: float = option(
        0.99, "Decay rate of lion's mean of gradients.", check=bounds.fraction
    )
    muon_momentum: float = option(0.95, "Momentum of muon.", check=bounds.fraction)
    adafactor_beta2_decay: float = option(
        -0.8,
        "Exponent of the step in the decay rate of adafactor's means; zero or less.",
        check=bounds.not_above_zero,
    )
    adafactor_clip_threshold: float = option(
        1.0, "Largest root mean square of a step of adafactor.", check=bounds.positive
    )
    opt_epsilon: float = option(
        1.0, "Epsilon of adadelta, adam and rmsprop.", check=bounds.non_negative
    )
    ftrl_learning_rate_power: float = option(
        -0.5, "Power of the learning rate of ftrl; zero or less.", check=bounds.not_above_zero
    )
    ftrl_initial_accumulator_value: float = option(
        0.1, "Starting value of ftrl's accumulators.", check=bounds.non_negative
    )
    ftrl_l1: float = option(0.0, "L1 strength of ftrl.", check=bounds.non_negative)
    ftrl_l2: float = option(0.0, "L2 strength of ftrl.", check=bounds.non_negative)
    momentum: float = option(0.9, "Momentum of the momentum optimizer.", check=bounds.fraction)
    rmsprop_momentum: float = option(0.9, "Momentum of rmsprop.", check=bounds.fraction)
    rmsprop_decay: float = option(
        0.9, "Decay rate of rmsprop's moving mean of squares.", check=bounds.fraction
    )
    clip_gradient_norm: float = option(
        0.0, "Largest norm of each gradient; 0 does not clip.", check=bounds.non_negative
    )
    moving_average_decay: float | None = option(
        None,
        "Decay of moving averages of the weights, for evaluation; without it, none are kept.",
        check=bounds.fraction,
        resume="refused",
    )

    def conflicts(self) -> Iterator[str]:
        """Yields the options that have nothing to act on, where no command of the original's has
        them together with the optimizer."""
        for name in self._idle():
            if not self._is_of_original(name):
                yield f"{name} is for {', '.join(READ_BY[name])}; {self._instead(name)}"

    def without_effect(self) -> Iterator[str]:
        """Yields the others that have nothing to act on: the original takes them silently."""
        for name in self._idle():
            if self._is_of_original(name):
                yield (
                    f"{name}={getattr(self, name):g} has nothing to act on:"
                    f" optimizer={self.optimizer}; {self._instead(name)}"
                )

    def _idle(self) -> Iterator[str]:
        for name, optimizers in READ_BY.items():
            if self.optimizer not in optimizers and self.is_changed(name):
                yield name

    def _is_of_original(self, name: str) -> bool:
        return self.optimizer in _ORIGINALS and not set(READ_BY[name]).isdisjoint(_ORIGINALS)

    def _instead(self, name: str) -> str:
        """Returns what the optimizer has instead of an option."""
        if name == "optimizer_weight_decay":
            return f"for {self.optimizer} it is weight_decay, the L2 penalty of the loss"
        own = [other for other, optimizers in READ_BY.items() if self.optimizer in optimizers]
        alike = next(
            (other for group in _ALIKE if name in group for other in group if other in own), None
        )
        if alike:
            return f"for {self.optimizer} it is {alike}"
        return f"{self.optimizer} has {', '.join(own) or 'none of its own'}"
