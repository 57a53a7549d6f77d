"""Options of the optimizer."""

import dataclasses
from collections.abc import Iterator

from classifier.config import bounds
from classifier.options import Options, option

DECOUPLED = ("adafactor", "adamw", "lamb", "lion", "muon")
OPTIMIZERS = (
    *("adadelta", "adagrad", "adam", "ftrl", "momentum", "rmsprop", "sgd"),
    *DECOUPLED,
)


# Two flags that are easily taken for each other, and whose they are.
_EPSILONS = {
    "opt_epsilon": ("adadelta", "adam", "rmsprop"),
    "adamw_epsilon": ("adamw", "lamb", "muon"),
}


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
        """Yields the option that has nothing to act on."""
        if self.optimizer_weight_decay is not None and self.optimizer not in DECOUPLED:
            yield (
                f"optimizer_weight_decay is for {', '.join(DECOUPLED)}; for {self.optimizer} it is"
                " weight_decay, the L2 penalty of the loss"
            )
        right = next((name for name, of in _EPSILONS.items() if self.optimizer in of), None)
        for name, of in _EPSILONS.items():
            is_set = getattr(self, name) != getattr(type(self), name)
            if right not in (None, name) and is_set:
                yield f"{name} is for {', '.join(of)}; for {self.optimizer} it is {right}"
