"""The batch size of `--batch_size=auto`: by memory, before the first step."""

import threading
from collections.abc import Callable, Sequence

import tensorflow as tf

from classifier.config import problems
from classifier.config.data import MAX_AUTO_BATCH, MIN_AUTO_STEPS
from classifier.config.problems import named
from classifier.resolve.training import ResolvedRun
from classifier.training.distillation import Teacher
from classifier.training.step import make_train_op
from slim import _memory

# On a CPU: batch sizes of the two trials, and the fraction of the available memory to use. Input
# pipelines and other processes need the rest, and a process that exceeds the memory is killed.
_TRIALS, _USABLE = (2, 8), 0.5
_INTERVAL = 0.002  # seconds between two readings of the memory


def find_batch_size(
    resolved: ResolvedRun, strategy: tf.distribute.Strategy, teacher: Teacher | None = None
) -> int:
    """Returns the largest batch size per clone whose training step fits the memory, and prints it.

    On GPUs, steps of falling sizes are tried until one fits. On CPUs, the memory of the steps of
    two small sizes is measured and extrapolated.

    Args:
      resolved: the run; its batch size is ignored.
      strategy: the devices.
      teacher: network whose probabilities are targets as well.

    Raises:
      UserError: if not even one image fits, or the memory is unknown.
    """
    parts = strategy.num_replicas_in_sync * resolved.config.step.accumulate_steps
    sizes = candidates(resolved.num_samples, parts)
    usable, before = _usable_bytes(resolved), _memory.resident_bytes() or 0
    trial = _trial(resolved, strategy, teacher)
    if usable is None:
        size = largest(sizes, lambda size: _is_possible(trial, size * parts))
        reason = "tried"
    else:
        low, high = (max(0, _peak_bytes(trial, size * parts) - before) for size in _TRIALS)
        size = largest(sizes, lambda size: extrapolated(size, low, high) <= usable)
        reason = (
            f"{extrapolated(size, low, high) / 1e6:.0f} MB, from steps of {_TRIALS[0]} and"
            f" {_TRIALS[1]} images, {low / 1e6:.0f} and {high / 1e6:.0f} MB; {usable / 1e6:.0f} MB"
            " usable"
        )
    print(f"batch size: {size}, by memory, at most {sizes[0]} ({reason})", flush=True)
    return size


def candidates(num_samples: int, parts: int) -> list[int]:
    """Returns the possible batch sizes, falling powers of two.

    Args:
      num_samples: images per epoch, which has at least `MIN_AUTO_STEPS` steps of more than one
        image.
      parts: number of batches in a step.
    """
    limit = min(MAX_AUTO_BATCH, num_samples // (MIN_AUTO_STEPS * parts))
    return [2**power for power in reversed(range(max(1, limit).bit_length()))]


def largest(sizes: Sequence[int], fits: Callable[[int], bool]) -> int:
    """Returns the first size that fits.

    Raises:
      UserError: if none does.
    """
    for size in sizes:
        if fits(size):
            return size
    raise problems.error(
        "{}: the memory is not enough for a step of one image. Use a smaller {} or {}",
        named("batch_size", "auto"),
        named("train_image_size"),
        named("model_name"),
    )


def extrapolated(size: int, low: float, high: float) -> float:
    """Returns the bytes of a step, on a line through those of the sizes in `_TRIALS`."""
    slope = max(0.0, high - low) / (_TRIALS[1] - _TRIALS[0])
    return low + slope * (size - _TRIALS[0])


def _usable_bytes(resolved: ResolvedRun) -> float | None:
    """Returns the bytes of main memory to use, or None if a GPU computes."""
    if tf.config.list_logical_devices("GPU") and not resolved.config.strategy.clone_on_cpu:
        return None
    available = _memory.available_bytes()
    if available is None:
        raise problems.error(
            "{} needs to know the available memory, which it does on Linux and on GPUs. Set a batch"
            " size",
            named("batch_size", "auto"),
        )
    return _USABLE * available


def _trial(
    resolved: ResolvedRun, strategy: tf.distribute.Strategy, teacher: Teacher | None
) -> Callable[[int], None]:
    """Returns a function that runs a step of a copy of the network on a number of images."""
    info = resolved.model
    example = {
        "image": tf.zeros([*info.image_size, info.num_channels]),
        "label": tf.zeros([info.num_classes] if info.multi_label else [], tf.int64),
    }
    images = tf.data.Dataset.from_tensors(example).repeat()
    train_op = make_train_op(resolved, strategy, teacher)
    train_op.build(images.batch(1).element_spec)

    def run(count: int) -> None:
        batches = strategy.experimental_distribute_dataset(images.batch(count))
        train_op.run(iter(batches))

    return run


def _is_possible(trial: Callable[[int], None], count: int) -> bool:
    try:
        trial(count)
    except tf.errors.ResourceExhaustedError:
        return False
    return True


def _peak_bytes(trial: Callable[[int], None], count: int) -> int:
    """Returns the highest memory of this process during a step of a number of images."""
    peak, is_over = 0, threading.Event()

    def watch() -> None:
        nonlocal peak
        while not is_over.wait(_INTERVAL):
            peak = max(peak, _memory.resident_bytes() or 0)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        trial(count)
    finally:
        is_over.set()
        thread.join()
    return max(peak, _memory.resident_bytes() or 0)
