"""Warnings of training, evaluation and export."""

from collections.abc import Iterator

from classifier.config.problems import Problem, named
from classifier.model_info import ModelInfo
from classifier.resolve.training import ResolvedRun
from nets import published

# The published checkpoints were trained with its labels.
_PUBLISHED_DATASET = "imagenet"
# RMSProp is likely to diverge with at most this epsilon and at least this learning rate.
_SMALL_EPSILON, _LARGE_RATE = 0.1, 0.01
_IMBALANCE = 10  # ratio of the largest to the smallest class


def of_training(resolved: ResolvedRun, undescribed: str | None) -> Iterator[str]:
    """Yields options without effect, risky combinations, and contradictions to the checkpoint.

    Args:
      resolved: the run.
      undescribed: prefix of the checkpoint from which a new run starts, if it has no
        model_info.json.
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
    yield from _imbalance(resolved)


def _imbalance(resolved: ResolvedRun) -> Iterator[str]:
    """Yields a warning if one class is much larger than another, and no option compensates."""
    config, names = resolved.config, resolved.model.class_names
    present = [(count, label) for label, count in enumerate(resolved.class_counts) if count]
    if not present or config.data.balanced_sampling or config.loss.class_weights is not None:
        return
    (smallest, rare), (largest, frequent) = min(present), max(present)
    if largest <= _IMBALANCE * smallest:
        return
    weights = named("class_weights", "auto")
    sampling = Problem("{} or {}", named("balanced_sampling"), weights)
    yield Problem(
        "the classes are unbalanced: {!r} has {} images, {!r} has {}. Small classes are then rarely"
        " predicted. To compensate, pass {}",
        names[frequent],
        largest,
        names[rare],
        smallest,
        weights if resolved.model.multi_label else sampling,
    )


def data_wait(resolved: ResolvedRun, fraction: float, in_place: bool) -> Problem:
    """Returns the warning that training waits for data.

    Args:
      resolved: the run.
      fraction: of the step time.
      in_place: whether the images are read in place, not from TFRecords.
    """
    data = resolved.config.data
    helpful = [named("num_preprocessing_threads"), named("num_readers")]
    if data.cache == "none" and data.data_service is None:
        helpful.append(named("cache"))
    if data.data_service is None and not in_place and not data.balanced_sampling:
        helpful.append(named("data_service"))
    listed = Problem(", ".join(["{}"] * len(helpful)), *helpful)
    return Problem(
        "{} of the step time is spent waiting for data: the disk or preprocessing is slower"
        " than the network. Options that may help: {}{}",
        f"{fraction:.0%}",
        listed,
        ", or convert the images to TFRecords" if in_place else "",
    )


def of_records(name: str, split: str, num_samples: int, usual_samples: int | None) -> Iterator[str]:
    """Yields a warning if records that are named as a known dataset's are not as many."""
    if usual_samples not in (None, num_samples):
        yield (
            f"{name} {split} has {num_samples} records, but TF-Slim's converter writes"
            f" {usual_samples}. If the records are not your own, the copy is incomplete"
        )


def of_checkpoint(
    prefix: str, model: ModelInfo, image_size: tuple[int, int], has_unused_averages: bool
) -> Iterator[str]:
    """Yields contradictions to a checkpoint without model_info.json.

    Args:
      prefix: prefix of the checkpoint.
      model: model that the options describe.
      image_size: height and width in use, in pixels.
      has_unused_averages: whether the checkpoint has moving averages that are not used.
    """
    yield from contradictions(prefix, model, image_size)
    if has_unused_averages:
        yield Problem(
            "the checkpoint has moving averages of its weights, which are not used. To use them,"
            " pass {} (any value selects the saved averages)",
            named("moving_average_decay", 0.9999),
        )


def contradictions(prefix: str, model: ModelInfo, image_size: tuple[int, int]) -> Iterator[str]:
    """Yields options that differ from the training of a published checkpoint."""
    yield from published.contradictions(
        prefix,
        model.preprocessing_name,
        image_size,
        model.labels_offset if model.dataset_name == _PUBLISHED_DATASET else None,
    )
