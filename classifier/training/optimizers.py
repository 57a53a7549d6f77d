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
        case "cosine_restarts":
            longer, lower = schedule.period_factor, schedule.rate_factor
            return schedules.CosineDecayRestarts(rate, steps, longer, lower, alpha=end / rate)
        case "one_cycle":
            return _one_cycle(schedule)
        case "piecewise":
            return schedules.PiecewiseConstantDecay(list(schedule.boundaries), list(schedule.rates))
    return lambda step: tf.constant(rate, tf.float32)


def _one_cycle(schedule: Schedule) -> Callable[[tf.Tensor], tf.Tensor]:
    """Returns the policy of Smith and Topin, "Super-Convergence", 2018, without their cycle of the
    momentum: a rise, a fall of the same duration, and a further fall, all linear."""
    peak, rise = schedule.learning_rate, schedule.peak * schedule.decay_steps
    start, rest = schedule.start_factor * peak, schedule.decay_steps - 2 * rise

    def rate(step: tf.Tensor) -> tf.Tensor:
        steps = tf.cast(step, tf.float32)
        cycle = peak - (peak - start) * tf.abs(steps / rise - 1)
        end = schedule.end_learning_rate
        last = start + (end - start) * tf.minimum((steps - 2 * rise) / rest, 1.0)
        return tf.where(steps < 2 * rise, cycle, last)

    return rate
