"""Options of the optimizer."""

import dataclasses
from collections.abc import Iterator, Mapping

from classifier.config import bounds
from classifier.config.options import Options, option
from classifier.config.problems import Problem, named


@dataclasses.dataclass(frozen=True)
class OptimizerRow:
    """One optimizer.

    Attributes:
      module: module of `slim.optimizers`.
      class_name: its class in the module.
      options: argument of that class -> option that sets it; None keeps the class's default.
      is_new: whether TF-Slim's script lacks it.
      spares_head: whether it accepts the scopes of the network's head as `exclude_scopes`.
    """

    module: str
    class_name: str
    options: Mapping[str, str] = dataclasses.field(default_factory=dict)
    is_new: bool = False
    spares_head: bool = False


_ADAM = {"beta1": "adam_beta1", "beta2": "adam_beta2"}
_ADAMW = {**_ADAM, "epsilon": "adamw_epsilon", "weight_decay": "optimizer_weight_decay"}

OPTIMIZERS: Mapping[str, OptimizerRow] = {
    "adadelta": OptimizerRow(
        "original", "Adadelta", {"rho": "adadelta_rho", "epsilon": "opt_epsilon"}
    ),
    "adagrad": OptimizerRow(
        "original", "Adagrad", {"initial_accumulator_value": "adagrad_initial_accumulator_value"}
    ),
    "adam": OptimizerRow("original", "Adam", {**_ADAM, "epsilon": "opt_epsilon"}),
    "ftrl": OptimizerRow(
        "original",
        "Ftrl",
        {
            "learning_rate_power": "ftrl_learning_rate_power",
            "initial_accumulator_value": "ftrl_initial_accumulator_value",
            "l1": "ftrl_l1",
            "l2": "ftrl_l2",
        },
    ),
    "momentum": OptimizerRow("original", "Momentum", {"momentum": "momentum"}),
    "rmsprop": OptimizerRow(
        "original",
        "RMSProp",
        {"decay": "rmsprop_decay", "momentum": "rmsprop_momentum", "epsilon": "opt_epsilon"},
    ),
    "sgd": OptimizerRow("original", "GradientDescent"),
    "adafactor": OptimizerRow(
        "newer",
        "Adafactor",
        {
            "beta2_decay": "adafactor_beta2_decay",
            "clip_threshold": "adafactor_clip_threshold",
            "weight_decay": "optimizer_weight_decay",
        },
        is_new=True,
    ),
    "adamw": OptimizerRow("newer", "AdamW", _ADAMW, is_new=True),
    "lamb": OptimizerRow("newer", "Lamb", _ADAMW, is_new=True),
    "lion": OptimizerRow(
        "newer",
        "Lion",
        {"beta1": "lion_beta1", "beta2": "lion_beta2", "weight_decay": "optimizer_weight_decay"},
        is_new=True,
    ),
    "muon": OptimizerRow(
        "newer", "Muon", {"momentum": "muon_momentum", **_ADAMW}, is_new=True, spares_head=True
    ),
}


def readers(option: str) -> tuple[str, ...]:
    """Returns the optimizers that read an option."""
    return tuple(name for name, row in OPTIMIZERS.items() if option in row.options.values())


def _readers_in_words(option: str) -> str:
    *others, last = readers(option)
    return f"{', '.join(others)} and {last}" if others else last


@dataclasses.dataclass(frozen=True, kw_only=True)
class OptimizerOptions(Options):
    """Optimizer."""

    optimizer: str = option(
        "rmsprop", "Name of the optimizer.", choices=tuple(OPTIMIZERS), resume="refused"
    )
    adadelta_rho: float = option(0.95, "Decay rate of adadelta.", check=bounds.fraction)
    adagrad_initial_accumulator_value: float = option(
        0.1, "Initial value of adagrad's accumulators.", check=bounds.positive
    )
    adam_beta1: float = option(
        0.9,
        f"Decay rate of the first moments of {_readers_in_words('adam_beta1')}.",
        check=bounds.fraction,
    )
    adam_beta2: float = option(
        0.999,
        f"Decay rate of the second moments of {_readers_in_words('adam_beta2')}.",
        check=bounds.fraction,
    )
    adamw_epsilon: float = option(
        1e-7, f"Epsilon of {_readers_in_words('adamw_epsilon')}.", check=bounds.non_negative
    )
    optimizer_weight_decay: float | None = option(
        None,
        f"Weight decay of {_readers_in_words('optimizer_weight_decay')}, in addition to"
        " --weight_decay. Default: 0.004 for adamw and muon, else 0.",
        check=bounds.non_negative,
    )
    lion_beta1: float = option(
        0.9, "Fraction of past gradients in an update of lion.", check=bounds.fraction
    )
    lion_beta2: float = option(
        0.99, "Decay rate of lion's moving average of gradients.", check=bounds.fraction
    )
    muon_momentum: float = option(0.95, "Momentum of muon.", check=bounds.fraction)
    adafactor_beta2_decay: float = option(
        -0.8,
        "Exponent of the step in the decay rate of adafactor's moments, at most 0.",
        check=bounds.not_above_zero,
    )
    adafactor_clip_threshold: float = option(
        1.0, "Maximum root mean square of an update of adafactor.", check=bounds.positive
    )
    opt_epsilon: float = option(
        1.0, f"Epsilon of {_readers_in_words('opt_epsilon')}.", check=bounds.non_negative
    )
    ftrl_learning_rate_power: float = option(
        -0.5, "Learning rate power of ftrl, at most 0.", check=bounds.not_above_zero
    )
    ftrl_initial_accumulator_value: float = option(
        0.1, "Initial value of ftrl's accumulators.", check=bounds.non_negative
    )
    ftrl_l1: float = option(0.0, "L1 regularization strength of ftrl.", check=bounds.non_negative)
    ftrl_l2: float = option(0.0, "L2 regularization strength of ftrl.", check=bounds.non_negative)
    momentum: float = option(0.9, "Momentum of the momentum optimizer.", check=bounds.fraction)
    rmsprop_momentum: float = option(0.9, "Momentum of rmsprop.", check=bounds.fraction)
    rmsprop_decay: float = option(
        0.9, "Decay rate of rmsprop's moving average of squared gradients.", check=bounds.fraction
    )
    clip_gradient_norm: float = option(
        0.0, "Maximum norm of each gradient. 0 disables clipping.", check=bounds.non_negative
    )
    moving_average_decay: float | None = option(
        None,
        "Decay of moving averages of the weights, which evaluation and export use. Default: no"
        " averages.",
        check=bounds.fraction,
        resume="refused",
    )

    def conflicts(self) -> Iterator[Problem]:
        """Yields options that have no effect, unless a command of TF-Slim may combine them with
        this optimizer."""
        for name in self._idle():
            if not self._is_of_tf_slim(name):
                *others, last = readers(name)
                names = f"{', '.join(others)} or {last}" if others else last
                yield Problem(
                    "{} applies to {} only; {}",
                    named(name),
                    named("optimizer", names),
                    self._instead(name),
                )

    def without_effect(self) -> Iterator[Problem]:
        """Yields the other options that have no effect: TF-Slim accepts them silently."""
        for name in self._idle():
            if self._is_of_tf_slim(name):
                yield Problem(
                    "{} has no effect with {}; {}",
                    named(name, getattr(self, name)),
                    named("optimizer", self.optimizer),
                    self._instead(name),
                )

    def _idle(self) -> Iterator[str]:
        for field in dataclasses.fields(self):
            optimizers = readers(field.name)
            if optimizers and self.optimizer not in optimizers and self.is_changed(field.name):
                yield field.name

    def _is_of_tf_slim(self, name: str) -> bool:
        others = (OPTIMIZERS[each] for each in readers(name))
        return not OPTIMIZERS[self.optimizer].is_new and any(not row.is_new for row in others)

    def _instead(self, name: str) -> Problem:
        """Returns what the optimizer reads instead of an option."""
        if name == "optimizer_weight_decay":
            decay = named("weight_decay")
            return Problem("with {} use {}, the L2 penalty of the loss", self.optimizer, decay)
        own = OPTIMIZERS[self.optimizer].options
        (argument,) = {
            argument
            for row in OPTIMIZERS.values()
            for argument, option in row.options.items()
            if option == name
        }
        if argument in own:
            return Problem("with {} use {}", self.optimizer, named(own[argument]))
        names = [field.name for field in dataclasses.fields(self) if field.name in own.values()]
        listed = ", ".join(["{}"] * len(names)) or "no options of its own"
        return Problem("{} has " + listed, self.optimizer, *map(named, names))
