"""The optimizer and the learning rate of a run."""

import importlib
from collections.abc import Callable, Sequence

import tensorflow as tf

from classifier.config.optimizer import OPTIMIZERS, OptimizerOptions
from classifier.resolve.schedule import Schedule
from slim import optimizers


def make_optimizer(
    options: OptimizerOptions, learning_rate: optimizers.LearningRate, heads: Sequence[str] = ()
) -> optimizers.Optimizer:
    """Returns the optimizer that the options select.

    Args:
      options: name and hyperparameters.
      learning_rate: a number or a function of the step.
      heads: scopes of the network's head, which Muon updates with AdamW.
    """
    row = OPTIMIZERS[options.optimizer]
    values = {argument: getattr(options, name) for argument, name in row.options.items()}
    arguments = {argument: value for argument, value in values.items() if value is not None}
    if row.spares_head:
        arguments["exclude_scopes"] = tuple(heads)
    module = importlib.import_module(f"slim.optimizers.{row.module}")
    return getattr(module, row.class_name)(learning_rate=learning_rate, **arguments)


def make_learning_rate(schedule: Schedule) -> Callable[[tf.Tensor], tf.Tensor]:
    """Returns the learning rate as a function of the step.

    During warmup it is the minimum of the schedule and a linear increase from 0, as in TF-Slim.
    """
    decayed, rate, steps = _decayed(schedule), schedule.learning_rate, schedule.warmup_steps
    if not steps:
        return decayed
    return lambda step: tf.minimum(decayed(step), rate * tf.cast(step, tf.float32) / steps)


def _decayed(schedule: Schedule) -> Callable[[tf.Tensor], tf.Tensor]:
    schedules = tf.keras.optimizers.schedules
    rate, end, steps = schedule.learning_rate, schedule.end_learning_rate, schedule.decay_steps
    match schedule.kind:
        case "exponential":
            return schedules.ExponentialDecay(rate, steps, schedule.decay_factor, staircase=True)
        case "polynomial":
            return schedules.PolynomialDecay(rate, steps, end, power=1.0, cycle=False)
        case "cosine":
            return schedules.CosineDecay(rate, steps, alpha=end / rate)
        case "piecewise":
            return schedules.PiecewiseConstantDecay(list(schedule.boundaries), list(schedule.rates))
    return lambda step: tf.constant(rate, tf.float32)
