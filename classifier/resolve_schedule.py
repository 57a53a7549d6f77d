"""The learning rate's durations in steps, and the learning rate in words.

No TensorFlow: pure functions of the options and the number of images.
"""

import dataclasses
from collections.abc import Callable, Mapping

from classifier.config.schedule import ScheduleOptions
from slim import _checks


@dataclasses.dataclass(frozen=True)
class ScheduleSteps:
    """The durations of a schedule in steps.

    Attributes:
      decay_steps: of one exponential step, or of the whole polynomial or cosine decay.
      boundaries: after which the piecewise learning rate changes.
      rates: the piecewise learning rates, the first one included.
      warmup_steps: over which the learning rate rises.
      words: the schedule in words.
    """

    decay_steps: int
    boundaries: tuple[int, ...]
    rates: tuple[float, ...]
    warmup_steps: float
    words: str


def resolve_schedule(
    options: ScheduleOptions, num_samples: int, batch_size: int, clones: int, aggregated: int = 1
) -> ScheduleSteps:
    """Works out a schedule.

    Args:
      options: the schedule.
      num_samples: images of the split.
      batch_size: images of a step on one clone.
      clones: how many there are.
      aggregated: workers whose batches decay_per_clone counts together.

    Raises:
      UserError: if a decay is shorter than a step.
    """
    counted = batch_size * (aggregated if options.decay_per_clone else clones)
    decay_steps = options.decay_steps or int(num_samples * options.num_epochs_per_decay / counted)
    if decay_steps < 1 and options.learning_rate_decay_type not in ("fixed", "piecewise"):
        raise _checks.UserError(
            f"num_epochs_per_decay={options.num_epochs_per_decay:g} is less than one step:"
            f" {num_samples} images make {num_samples / counted:g} steps of {counted} images"
        )
    epoch = num_samples / counted
    boundaries = options.piecewise_steps or tuple(
        round(epochs * epoch) for epochs in options.piecewise_epochs
    )
    if len(set(boundaries)) < len(boundaries) or 0 in boundaries:
        raise _checks.UserError(
            f"piecewise_epochs are less than one step apart: an epoch has {epoch:g} steps"
        )
    steps = ScheduleSteps(
        decay_steps=decay_steps,
        boundaries=boundaries,
        rates=_rates(options),
        warmup_steps=options.warmup_steps or options.warmup_epochs * epoch,
        words="",
    )
    return dataclasses.replace(steps, words="; ".join(_words(options, steps)))


def _rates(options: ScheduleOptions) -> tuple[float, ...]:
    if options.learning_rate_decay_type != "piecewise":
        return ()
    changes = len(options.piecewise_epochs or options.piecewise_steps)
    falling = (
        options.learning_rate * options.learning_rate_decay_factor**number
        for number in range(1, changes + 1)
    )
    return (options.learning_rate, *(options.piecewise_rates or falling))


def _words(options: ScheduleOptions, steps: ScheduleSteps) -> list[str]:
    words = []
    if options.warmup_steps:
        words.append(f"LR rises for {options.warmup_steps} steps")
    elif options.warmup_epochs:
        words.append(
            f"LR rises for {options.warmup_epochs:g} epochs = {steps.warmup_steps:.10g} steps"
        )
    rate, end = f"LR {options.learning_rate:g}", f"{options.end_learning_rate:g}"
    span = f"{steps.decay_steps} steps"
    if options.decay_steps is None:
        span = f"{options.num_epochs_per_decay:g} epochs = {span}"
    changes = ", ".join(
        f"{value:g} after step {step}"
        for step, value in zip(steps.boundaries, steps.rates[1:], strict=True)
    )
    texts: Mapping[str, Callable[[], str]] = {
        "fixed": lambda: rate,
        "exponential": lambda: f"{rate} x{options.learning_rate_decay_factor:g} every {span}",
        "polynomial": lambda: f"{rate} to {end} in {span}",
        "cosine": lambda: f"{rate} to {end} by a cosine in {span}",
        "piecewise": lambda: f"{rate}, {changes}",
    }
    is_counted = options.decay_per_clone and options.is_in_epochs
    per_clone = " (epochs of one clone's batches)" if is_counted else ""
    return [*words, texts[options.learning_rate_decay_type]() + per_clone]
