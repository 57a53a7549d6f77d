"""Options of the optimizer."""

import dataclasses

from classifier.config import bounds
from classifier.options import Options, option

OPTIMIZERS = ("adadelta", "adagrad", "adam", "ftrl", "momentum", "rmsprop", "sgd")


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
    adam_beta1: float = option(0.9, "Decay rate of adam's first moments.", check=bounds.fraction)
    adam_beta2: float = option(0.999, "Decay rate of adam's second moments.", check=bounds.fraction)
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
