"""Optimizers by the names of the flag `optimizer`."""

from collections.abc import Callable, Mapping

from classifier.config.optimizer import OptimizerOptions
from slim import _checks, optimizers

_MAKERS: Mapping[
    str, Callable[[OptimizerOptions, optimizers.LearningRate], optimizers.Optimizer]
] = {
    "adadelta": lambda o, rate: optimizers.Adadelta(
        learning_rate=rate, rho=o.adadelta_rho, epsilon=o.opt_epsilon
    ),
    "adagrad": lambda o, rate: optimizers.Adagrad(
        learning_rate=rate, initial_accumulator_value=o.adagrad_initial_accumulator_value
    ),
    "adam": lambda o, rate: optimizers.Adam(
        learning_rate=rate, beta1=o.adam_beta1, beta2=o.adam_beta2, epsilon=o.opt_epsilon
    ),
    "ftrl": lambda o, rate: optimizers.Ftrl(
        learning_rate=rate,
        learning_rate_power=o.ftrl_learning_rate_power,
        initial_accumulator_value=o.ftrl_initial_accumulator_value,
        l1=o.ftrl_l1,
        l2=o.ftrl_l2,
    ),
    "momentum": lambda o, rate: optimizers.Momentum(learning_rate=rate, momentum=o.momentum),
    "rmsprop": lambda o, rate: optimizers.RMSProp(
        learning_rate=rate,
        decay=o.rmsprop_decay,
        momentum=o.rmsprop_momentum,
        epsilon=o.opt_epsilon,
    ),
    "sgd": lambda o, rate: optimizers.GradientDescent(learning_rate=rate),
}


def make_optimizer(
    options: OptimizerOptions, learning_rate: optimizers.LearningRate
) -> optimizers.Optimizer:
    """Returns the optimizer that the options name.

    Args:
      options: name and hyper-parameters.
      learning_rate: a number or a function of the step.

    Raises:
      UserError: if the name is not known.
    """
    return _MAKERS[_checks.one_of("optimizer", options.optimizer, _MAKERS)](options, learning_rate)
