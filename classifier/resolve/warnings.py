"""Warnings of training, evaluation and export."""

from collections.abc import Iterator

from classifier.config.problems import Problem, named
from classifier.model_info import ModelInfo
from classifier.resolve.training import ResolvedRun
from nets import published

# The published checkpoints were trained with its labels.
_PUBLISHED_DATASET = "imagenet"
# An epsilon of rmsprop and a learning rate that diverge together.
_SMALL_EPSILON, _LARGE_RATE = 0.1, 0.01


def of_training(resolved: ResolvedRun, undescribed: str | None) -> Iterator[str]:
    """Yields options that have no effect or conflict, and contradictions to the checkpoint that a
    new run is initialized from.

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
        yield Problem(
            "{} may be far too high for rmsprop with {}, which normalizes each gradient. Try a"
            " tenth",
            named("learning_rate", rate),
            named("opt_epsilon", optimizer.opt_epsilon),
        )
    if config.loss.class_weights == "auto" and config.data.balanced_sampling:
        yield Problem(
            "{} and {} both compensate for small classes; together they overcompensate",
            named("class_weights", "auto"),
            named("balanced_sampling"),
        )


def of_checkpoint(
    prefix: str, model: ModelInfo, image_size: tuple[int, int], averages_left: bool
) -> Iterator[str]:
    """Yields contradictions to a checkpoint without model_info.json.

    Args:
      prefix: of the checkpoint.
      model: what the options make of it.
      image_size: height and width in use, in pixels.
      averages_left: whether it has moving averages that are not used.
    """
    yield from contradictions(prefix, model, image_size)
    if averages_left:
        yield Problem(
            "the moving averages in the checkpoint are not used. Add {} to use them; any decay"
            " will do",
            named("moving_average_decay", 0.9999),
        )


def contradictions(prefix: str, model: ModelInfo, image_size: tuple[int, int]) -> Iterator[str]:
    """Yields contradictions to a published checkpoint."""
    yield from published.contradictions(
        prefix,
        model.preprocessing_name,
        image_size,
        model.labels_offset if model.dataset_name == _PUBLISHED_DATASET else None,
    )
