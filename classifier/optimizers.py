"""Optimizers by the names of the flag `optimizer`."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from classifier.config.optimizer import OptimizerOptions
from nets import nets_factory
from slim import _checks, optimizers


def _decay(options: OptimizerOptions) -> dict[str, Any]:
    decay = options.optimizer_weight_decay
    return {} if decay is None else {"weight_decay": decay}


def _adamw(options: OptimizerOptions) -> dict[str, Any]:
    return {
        "beta1": options.adam_beta1,
        "beta2": options.adam_beta2,
        "epsilon": options.adamw_epsilon,
        **_decay(options),
    }


_MAKERS: Mapping[
    str, Callable[[OptimizerOptions, optimizers.LearningRate], optimizers.Optimizer]
] = {
    "adadelta": lambda o, rate: optimizers.Adadelta(
        learning_rate=rate, rho=o.adadelta_rho, epsilon=o.opt_epsilon
    ),
    "adafactor": lambda o, rate: optimizers.Adafactor(
        learning_rate=rate,
        beta2_decay=o.adafactor_beta2_decay,
        clip_threshold=o.adafactor_clip_threshold,
        **_decay(o),
    ),
    "adagrad": lambda o, rate: optimizers.Adagrad(
        learning_rate=rate, initial_accumulator_value=o.adagrad_initial_accumulator_value
    ),
    "adam": lambda o, rate: optimizers.Adam(
        learning_rate=rate, beta1=o.adam_beta1, beta2=o.adam_beta2, epsilon=o.opt_epsilon
    ),
    "adamw": lambda o, rate: optimizers.AdamW(learning_rate=rate, **_adamw(o)),
    "ftrl": lambda o, rate: optimizers.Ftrl(
        learning_rate=rate,
        learning_rate_power=o.ftrl_learning_rate_power,
        initial_accumulator_value=o.ftrl_initial_accumulator_value,
        l1=o.ftrl_l1,
        l2=o.ftrl_l2,
    ),
    "lamb": lambda o, rate: optimizers.Lamb(learning_rate=rate, **_adamw(o)),
    "lion": lambda o, rate: optimizers.Lion(
        learning_rate=rate, beta1=o.lion_beta1, beta2=o.lion_beta2, **_decay(o)
    ),
    "momentum": lambda o, rate: optimizers.Momentum(learning_rate=rate, momentum=o.momentum),
    "muon": lambda o, rate: optimizers.Muon(
        learning_rate=rate, momentum=o.muon_momentum, **_adamw(o)
    ),
    "rmsprop": lambda o, rate: optimizers.RMSProp(
        learning_rate=rate,
        decay=o.rmsprop_decay,
        momentum=o.rmsprop_momentum,
        epsilon=o.opt_epsilon,
    ),
    "sgd": lambda o, rate: optimizers.GradientDescent(learning_rate=rate),
}


def make_optimizer(
    options: OptimizerOptions, learning_rate: optimizers.LearningRate, model_name: str
) -> optimizers.Optimizer:
    """Returns the optimizer that the options name.

    Args:
      options: name and hyper-parameters.
      learning_rate: a number or a function of the step.
      model_name: the network, whose head Muon leaves to AdamW.

    Raises:
      UserError: if the name is not known.
    """
    made = _MAKERS[_checks.one_of("optimizer", options.optimizer, _MAKERS)](options, learning_rate)
    if isinstance(made, optimizers.Muon):
        return dataclasses.replace(made, exclude_scopes=nets_factory.NETWORKS[model_name].heads)
    return made
