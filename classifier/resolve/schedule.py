"""Resolves the learning rate schedule of a run; no TensorFlow."""

import dataclasses
from collections.abc import Mapping

from classifier.config import problems
from classifier.config.problems import named
from classifier.config.schedule import AUTO_RATE, ScheduleOptions


@dataclasses.dataclass(frozen=True)
class Schedule:
    """A resolved learning rate schedule, in steps.

    Attributes:
      kind: one of `classifier.config.schedule.DECAYS`.
      learning_rate: initial learning rate.
      end_learning_rate: final learning rate of all gradual decays but the exponential one.
      decay_factor: factor of one exponential decay.
      decay_steps: steps of one exponential decay, of the first period of cosine_restarts, or of
        another complete decay.
      boundaries: steps after which the piecewise learning rate changes.
      rates: piecewise learning rates, including the initial one.
      warmup_steps: steps over which the learning rate rises linearly from 0.
      multipliers: learning rate multiplier by scope.
      layer_decay: factor of the rate from each block of the network to the one before it.
      period_factor: duration of a period of cosine_restarts relative to the one before.
      rate_factor: its highest rate, likewise.
      start_factor: learning rate at the start of one_cycle relative to its peak.
      peak: fraction of one_cycle until its peak.
      words: description of the schedule.
    """

    kind: str
    learning_rate: float
    end_learning_rate: float
    decay_factor: float
    decay_steps: int
    boundaries: tuple[int, ...]
    rates: tuple[float, ...]
    warmup_steps: float
    multipliers: Mapping[str, float]
    words: str
    layer_decay: float = 1.0
    period_factor: float = 2.0
    rate_factor: float = 1.0
    start_factor: float = 0.1
    peak: float = 0.45

    @property
    def is_automatic(self) -> bool:
        """Whether the learning rate is still to be found."""
        return self.learning_rate == AUTO_RATE


def resolve_schedule(
    options: ScheduleOptions, num_samples: int, batch_size: int, clones: int, aggregated: int = 1
) -> Schedule:
    """Resolves a schedule.

    Args:
      options: options of the schedule.
      num_samples: number of images in the split.
      batch_size: batch size per clone.
      clones: number of clones of all workers.
      aggregated: number of workers whose batches `decay_per_clone` counts together.

    Raises:
      UserError: if a decay is shorter than a step.
    """
    counted = batch_size * (aggregated if options.decay_per_clone else clones)
    decay_steps = options.decay_steps or _decay_steps(options, num_samples, counted)
    epoch = num_samples / counted
    boundaries = options.piecewise_steps or tuple(
        round(epochs * epoch) for epochs in options.piecewise_epochs
    )
    if len(set(boundaries)) < len(boundaries) or 0 in boundaries:
        raise problems.error(
            "{} are less than one step apart: an epoch has {:g} steps. Use {}",
            named("piecewise_epochs"),
            epoch,
            named("piecewise_steps"),
        )
    schedule = Schedule(
        kind=options.learning_rate_decay_type,
        learning_rate=options.learning_rate,
        end_learning_rate=options.end_learning_rate,
        decay_factor=options.learning_rate_decay_factor,
        decay_steps=decay_steps,
        boundaries=boundaries,
        rates=_rates(options),
        warmup_steps=options.warmup_steps or options.warmup_epochs * epoch,
        multipliers=_multipliers(options.learning_rate_multipliers),
        words="",
        layer_decay=options.layer_decay,
        period_factor=options.restart_period_factor,
        rate_factor=options.restart_rate_factor,
        start_factor=options.one_cycle_start_factor,
        peak=options.one_cycle_peak,
    )
    return dataclasses.replace(schedule, words="; ".join(_words(options, schedule)))


def _decay_steps(options: ScheduleOptions, num_samples: int, counted: int) -> int:
    """Returns `num_epochs_per_decay` in steps of `counted` images, 0 if it has no effect.

    With fewer images than a batch, an exponential decay lasts one step.
    """
    steps = int(num_samples * options.num_epochs_per_decay / counted)
    if steps or options.learning_rate_decay_type in ("fixed", "piecewise"):
        return steps
    if options.learning_rate_decay_type == "exponential" and num_samples < counted:
        return 1
    raise problems.error(
        "{} is less than one step: {} images are {:g} steps of {} images. Use {} or a smaller {}",
        named("num_epochs_per_decay", options.num_epochs_per_decay),
        num_samples,
        num_samples / counted,
        counted,
        named("decay_steps"),
        named("batch_size"),
    )


def _rates(options: ScheduleOptions) -> tuple[float, ...]:
    if options.learning_rate_decay_type != "piecewise":
        return ()
    changes = len(options.piecewise_epochs or options.piecewise_steps)
    falling = (
        options.learning_rate * options.learning_rate_decay_factor**number
        for number in range(1, changes + 1)
    )
    return (options.learning_rate, *(options.piecewise_rates or falling))


def _multipliers(items: tuple[str, ...]) -> dict[str, float]:
    pairs = (item.rpartition(":") for item in items)
    return {scope: float(factor) for scope, _, factor in pairs}


def _words(options: ScheduleOptions, schedule: Schedule) -> list[str]:
    words = []
    if options.warmup_steps:
        words.append(f"LR warm-up for {options.warmup_steps} steps")
    elif options.warmup_epochs:
        words.append(
            f"LR warm-up for {options.warmup_epochs:g} epochs = {schedule.warmup_steps:.10g} steps"
        )
    is_counted = options.decay_per_clone and options.is_in_epochs
    per_clone = " (epochs of one clone's batches)" if is_counted else ""
    return [*words, _decay_in_words(options, schedule) + per_clone]


def _decay_in_words(options: ScheduleOptions, schedule: Schedule) -> str:
    rate, end = f"LR {schedule.learning_rate:g}", f"{schedule.end_learning_rate:g}"
    span = f"{schedule.decay_steps} step" + "s" * (schedule.decay_steps != 1)
    if options.decay_steps is None:
        span = f"{options.num_epochs_per_decay:g} epochs = {span}"
    match schedule.kind:
        case "exponential":
            return f"{rate} x{schedule.decay_factor:g} every {span}"
        case "polynomial":
            return f"{rate} to {end} linearly in {span}"
        case "cosine":
            return f"{rate} to {end} along a cosine in {span}"
        case "cosine_restarts":
            longer, lower = f"{schedule.period_factor:g}", f"{schedule.rate_factor:g}"
            return (
                f"{rate} to {end} along cosines, the first in {span}, each {longer} times as long"
                f" and {lower} times as high as the one before"
            )
        case "one_cycle":
            start = f"{schedule.start_factor * schedule.learning_rate:g}"
            rise = f"{schedule.peak * schedule.decay_steps:g}"
            peak = f"{schedule.learning_rate:g}"
            return f"LR {start} to {peak} and back, {rise} steps each, then to {end}, in {span}"
        case "piecewise":
            pairs = zip(schedule.boundaries, schedule.rates[1:], strict=True)
            changes = ", ".join(f"{value:g} after step {step}" for step, value in pairs)
            return f"{rate}, {changes}"
    return rate
