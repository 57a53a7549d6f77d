"""Learning rate schedules by the names of the flag `learning_rate_decay_type`."""

from collections.abc import Callable

import tensorflow as tf

from classifier.config.schedule import ScheduleOptions
from classifier.resolve_schedule import ScheduleSteps
from slim import _checks

Schedule = Callable[[tf.Tensor], tf.Tensor]


def make_schedule(options: ScheduleOptions, steps: ScheduleSteps) -> Schedule:
    """Returns the learning rate as a function of the step.

    Args:
      options: kind and numbers of the schedule.
      steps: its durations. While it warms up, the rate rises from 0 in a straight line; the lower
        of this line and the schedule counts, as in the original.

    Raises:
      UserError: if the kind is not known.
    """
    schedules = tf.keras.optimizers.schedules
    rate, end = options.learning_rate, options.end_learning_rate
    makers: dict[str, Callable[[], Schedule]] = {
        "fixed": lambda: lambda step: tf.constant(rate, tf.float32),
        "exponential": lambda: schedules.ExponentialDecay(
            rate, steps.decay_steps, options.learning_rate_decay_factor, staircase=True
        ),
        "polynomial": lambda: schedules.PolynomialDecay(
            rate, steps.decay_steps, end, power=1.0, cycle=False
        ),
        "cosine": lambda: schedules.CosineDecay(rate, steps.decay_steps, alpha=end / rate),
        "piecewise": lambda: schedules.PiecewiseConstantDecay(
            list(steps.boundaries), list(steps.rates)
        ),
    }
    kind = _checks.one_of("learning_rate_decay_type", options.learning_rate_decay_type, makers)
    schedule = makers[kind]()
    if not steps.warmup_steps:
        return schedule
    warmup_steps = steps.warmup_steps
    return lambda step: tf.minimum(schedule(step), rate * tf.cast(step, tf.float32) / warmup_steps)
