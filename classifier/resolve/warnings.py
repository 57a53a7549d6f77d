"""What a run, an evaluation or an export warns of, though nothing is wrong enough to refuse it."""

from collections.abc import Iterator

from classifier.model_info import ModelInfo
from classifier.resolve.training import ResolvedRun
from nets import published

# Its labels are those that the published checkpoints were trained with.
_PUBLISHED_DATASET = "imagenet"
# An epsilon of rmsprop, and a learning rate, that do not go together.
_SMALL_EPSILON, _LARGE_RATE = 0.1, 0.01


def of_training(resolved: ResolvedRun, undescribed: str | None) -> Iterator[str]:
    """Yields which options have nothing to act on or do not go together, and what contradicts the
    checkpoint that a new run starts from.

    Args:
      resolved: the run.
      undescribed: the checkpoint's prefix, if there is one and no model_info.json beside it.
    """
    config = resolved.config
    yield from config.optimizer.without_effect()
    yield from config.schedule.without_effect()
    if undescribed is not None:
        yield from contradictions(undescribed, resolved.model, resolved.model.image_size)
    optimizer, rate = config.optimizer, resolved.schedule.learning_rate
    is_small = optimizer.opt_epsilon <= _SMALL_EPSILON
    if optimizer.optimizer == "rmsprop" and is_small and rate >= _LARGE_RATE:
        yield (
            f"with opt_epsilon={optimizer.opt_epsilon:g}, rmsprop divides each gradient by its"
            f" usual size, which 1.0 does not: learning_rate={rate:g} may be far too high; try"
            " a tenth"
        )
    if config.loss.class_weights == "auto" and config.data.balanced_sampling:
        yield (
            "class_weights=auto and balanced_sampling both make up for classes with few images:"
            " together they count these too much"
        )


def of_checkpoint(
    prefix: str, model: ModelInfo, image_size: tuple[int, int], averages_left: bool
) -> Iterator[str]:
    """Yields what contradicts a checkpoint that only the options describe.

    Args:
      prefix: of the checkpoint.
      model: what the options make of it.
      image_size: height and width in use, in pixels.
      averages_left: whether it has moving averages that are not used.
    """
    yield from contradictions(prefix, model, image_size)
    if averages_left:
        yield (
            "the checkpoint has moving averages of its weights, which are left out: give"
            " moving_average_decay=0.9999 to use them (they are as they were kept, whatever the"
            " number)"
        )


def contradictions(prefix: str, model: ModelInfo, image_size: tuple[int, int]) -> Iterator[str]:
    """Yields what is not how a checkpoint has to be used, if it is a published one."""
    yield from published.contradictions(
        prefix,
        model.preprocessing_name,
        image_size,
        model.labels_offset if model.dataset_name == _PUBLISHED_DATASET else None,
    )
