"""Resolves a prediction from the options, model_info.json and the checkpoint."""

import dataclasses
from collections.abc import Callable, Sequence

from classifier.config import problems
from classifier.config.prediction import (
    PredictConfig,
    PredictedModelOptions,
    PredictionOptions,
)
from classifier.config.problems import named
from classifier.config.serving import ServeConfig
from classifier.model_info import ModelInfo
from classifier.resolve import classes, model
from classifier.resolve.classes import IMAGENET, IMAGENET_LABELS, Classes
from nets.nets_factory import NETWORKS


@dataclasses.dataclass(frozen=True)
class ResolvedPrediction:
    """A resolved prediction.

    Attributes:
      config: the options.
      model: the model.
      image_size: height and width of the images, in pixels.
      top_k: number of classes to show per image.
    """

    config: PredictConfig | ServeConfig
    model: ModelInfo
    image_size: tuple[int, int]
    top_k: int


def prediction(
    config: PredictConfig | ServeConfig,
    info: ModelInfo | None,
    head_classes: Callable[[Sequence[str]], int | None],
) -> ResolvedPrediction:
    """Resolves a prediction.

    Args:
      config: the options.
      info: contents of model_info.json, or None if the checkpoint has none: then the options
        describe the model. A published network has the names of ImageNet's classes.
      head_classes: function from the scopes of a network's head to the number of classes that the
        checkpoint has there.

    Raises:
      UserError: if an option contradicts `info` or has no effect, or the network is unknown or
        expects videos.
    """
    if info is None:
        trained = _described(config.model, head_classes)
    else:
        trained = model.trained_model(config.model, info, Classes())
    trained = classes.with_imagenet_names(trained)
    if NETWORKS[trained.model_name].input_rank == 5:
        raise problems.error(
            "{} expects videos. Predict with a network for images",
            named("model_name", trained.model_name),
        )
    shows_neighbors = getattr(config.run, "neighbors", None) is not None
    if trained.multi_label and config.run.is_changed("top_k") and not shows_neighbors:
        raise problems.error(
            "{} has no effect with several labels an image: all classes whose probability reaches"
            " their threshold are shown",
            named("top_k", config.run.top_k),
        )
    image_size = config.model.image_size or trained.image_size
    return ResolvedPrediction(
        config, trained, image_size, min(config.run.top_k, trained.num_classes)
    )


def check_exported(options: PredictionOptions) -> None:
    """Raises UserError for options that an exported model does not support."""
    for name in ("features", "neighbors", "explain_dir", "num_clones", "clone_on_cpu", "split_cpu"):
        if options.is_changed(name):
            raise problems.error(
                "{} needs a checkpoint, but {} is an exported model",
                named(name),
                named("checkpoint_path", options.checkpoint_path),
            )


def _described(
    options: PredictedModelOptions, head_classes: Callable[[Sequence[str]], int | None]
) -> ModelInfo:
    """Returns the model of a checkpoint without model_info.json."""
    spec = NETWORKS[model.described_network(options)]
    number = options.num_classes or head_classes(spec.heads) or spec.classes
    offset = IMAGENET_LABELS - number
    if offset not in (0, 1):
        if options.labels_offset:
            raise problems.error(
                "{} is for ImageNet's {} labels, but the checkpoint has {} classes. Remove it",
                named("labels_offset", options.labels_offset),
                IMAGENET_LABELS,
                number,
            )
        return model.trained_model(options, None, Classes(None, number, spec.channels))
    if options.labels_offset is None:
        options = dataclasses.replace(options, labels_offset=offset)
    imagenet = Classes(IMAGENET, IMAGENET_LABELS, spec.channels)
    return model.trained_model(options, None, imagenet)
