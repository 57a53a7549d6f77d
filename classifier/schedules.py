"""Learning rate schedules by the names of the flag `learning_rate_decay_type`."""

from collections.abc import Callable

import tensorflow as tf

from classifier.config.optimizer import ScheduleOptions
from slim import _checks

Schedule = Callable[[tf.Tensor], tf.Tensor]


def make_schedule(options: ScheduleOptions, decay_steps: int, warmup_steps: float) -> Schedule:
    """Returns the learning rate as a function of the step.

    Args:
      options: kind and numbers of the schedule.
      decay_steps: steps of one step of the exponential, or of the whole polynomial decay.
      warmup_steps: steps over which the rate rises from 0 in a straight line; the lower of this
        line and the schedule counts, as in the original.

    Raises:
      UserError: if the kind is not known.
    """
    schedules = tf.keras.optimizers.schedules
    rate = options.learning_rate
    makers: dict[str, Callable[[], Schedule]] = {
        "fixed": lambda: lambda step: tf.constant(rate, tf.float32),
        "exponential": lambda: schedules.ExponentialDecay(
            rate, decay_steps, options.learning_rate_decay_factor, staircase=True
        ),
        "polynomial": lambda: schedules.PolynomialDecay(
            rate, decay_steps, options.end_learning_rate, power=1.0, cycle=False
        ),
    }
    kind = _checks.one_of("learning_rate_decay_type", options.learning_rate_decay_type, makers)
    schedule = makers[kind]()
    if not warmup_steps:
        return schedule
    return lambda step: tf.minimum(schedule(step), rate * tf.cast(step, tf.float32) / warmup_steps)
