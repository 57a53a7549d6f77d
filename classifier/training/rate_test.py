"""The learning rate of `--learning_rate=auto`: a range test before the first step."""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

import slim
from classifier.resolve.training import ResolvedRun
from classifier.training.batches import TrainingBatches
from classifier.training.distillation import Teacher
from classifier.training.step import make_train_op
from datasets import progress

# Optimizers whose updates are normalized have far smaller rates.
_NORMALIZED = ("adam", "adamw", "adafactor", "lamb", "lion", "muon")
_FACTOR, _STEPS = 2.0, 16


def find_learning_rate(
    resolved: ResolvedRun,
    strategy: tf.distribute.Strategy,
    batches: TrainingBatches,
    warm_start: Callable[[slim.VariableStore], Callable[[], None] | None],
    teacher: Teacher | None = None,
) -> float:
    """Returns a learning rate for a run, and prints the test.

    A copy of the network is trained on one batch with a rate that doubles in each step until the
    loss rises (Smith, "Cyclical Learning Rates for Training Neural Networks", 2017).

    Args:
      resolved: the run; its learning rate is ignored.
      strategy: the devices.
      batches: training batches.
      warm_start: from a network to the function that initializes it, or None.
      teacher: network whose probabilities are targets as well.
    """
    is_normalized = resolved.config.optimizer.optimizer in _NORMALIZED
    lowest = 1e-6 if is_normalized else 1e-4
    schedule = dataclasses.replace(
        resolved.schedule,
        kind="exponential",
        learning_rate=lowest,
        decay_factor=_FACTOR,
        decay_steps=1,
        warmup_steps=0,
    )
    train_op = make_train_op(dataclasses.replace(resolved, schedule=schedule), strategy, teacher)
    batch = next(iter(batches(0)))
    dataset = tf.data.Dataset.from_tensors(batch).repeat()
    train_op.build(
        tf.nest.map_structure(
            lambda spec: tf.TensorSpec([None, *spec.shape[1:]], spec.dtype), dataset.element_spec
        )
    )
    init_fn = warm_start(train_op.store)
    if init_fn is not None:
        init_fn()
    iterator = iter(strategy.experimental_distribute_dataset(dataset))
    rates, losses = [], []
    with progress.bar(_STEPS, "step", "range test", leave=False) as bar:
        while len(losses) < _STEPS and not is_rising(losses):
            metrics = train_op.run(iterator)
            rates.append(float(metrics["learning_rate"][0]))
            losses.append(float(metrics["loss"][0]))
            bar.update()
    rate = best_rate(rates, losses)
    print(
        f"learning rate: {rate:.2g}, from a range test of {len(rates)} steps,"
        f" {rates[0]:.1g} to {rates[-1]:.1g} (loss {losses[0]:.3g}, lowest {np.nanmin(losses):.3g},"
        f" last {losses[-1]:.3g})",
        flush=True,
    )
    return rate


def is_rising(losses: Sequence[float]) -> bool:
    """Returns whether the last loss is non-finite or well above the lowest."""
    if not losses:
        return False
    return not np.isfinite(losses[-1]) or losses[-1] > 1.5 * min(losses) + 0.1


def best_rate(rates: Sequence[float], losses: Sequence[float]) -> float:
    """Returns a tenth of the largest rate before the lowest loss, rounded to two digits.

    Args:
      rates: rate of each step.
      losses: loss of each step, before its update; the first one is finite.
    """
    index = int(np.nanargmin(np.where(np.isfinite(losses), losses, np.nan)))
    return float(f"{rates[max(0, index - 1)] / 10:.2g}")
