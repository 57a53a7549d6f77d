"""What a model is: by its own information, or else by the options and the dataset.

What model_info.json says fills what the options leave out; an option that contradicts it is
refused. The image size is no contradiction: convolutions take any.
"""

import dataclasses
from collections.abc import Iterator

from classifier.config import problems
from classifier.config.model import ModelOptions
from classifier.config.problems import Problem, named
from classifier.model_info import ModelInfo
from classifier.resolve import classes
from classifier.resolve.classes import Classes
from datasets.splits import SplitFacts
from nets.nets_factory import NETWORKS
from preprocessing import preprocessing_factory
from slim import _checks

NO_INFO = "there is no model_info.json next to the checkpoint"


def describe(
    name: str,
    dataset: SplitFacts | Classes,
    *,
    labels_offset: int,
    use_grayscale: bool,
    preprocessing_name: str | None,
    moving_average_decay: float | None,
    quantized: bool,
    image_size: tuple[int, int] | None = None,
) -> ModelInfo:
    """Returns the model of a network and a dataset.

    Args:
      name: of the network.
      dataset: the facts of the split, or its classes alone.
      labels_offset: label that is class 0.
      use_grayscale: whether images are turned to one channel.
      preprocessing_name: of a preprocessing or a network; None for the network's own.
      moving_average_decay: of the weights' averages, if there are any.
      quantized: whether the layers round.
      image_size: height and width, in pixels; None for the network's own.

    Raises:
      UserError: if no class is left or the preprocessing is not known.
    """
    preprocessing = preprocessing_factory.resolve_name(preprocessing_name or name)
    label_names: tuple[str, ...] = ()
    if isinstance(dataset, Classes):
        num_classes = dataset.logits(labels_offset)
    else:
        num_classes = classes.num_classes(dataset, labels_offset)
        label_names = classes.label_names(dataset, labels_offset)
    own_size = NETWORKS[name].image_size
    return ModelInfo(
        model_name=name,
        num_classes=num_classes,
        label_names=label_names,
        labels_offset=labels_offset,
        image_size=image_size or (own_size, own_size),
        num_channels=preprocessing_factory.prepared_channels(
            preprocessing, dataset.num_channels or 3, use_grayscale
        ),
        preprocessing_name=preprocessing,
        use_grayscale=use_grayscale,
        moving_average_decay=moving_average_decay,
        quantized=quantized,
        dataset_name=dataset.name,
    )


def check_images(name: str) -> None:
    """Refuses a network of videos where images come.

    Raises:
      UserError: if it takes videos.
    """
    if NETWORKS[name].input_rank == 5:
        raise problems.error(
            "{} expects videos, but datasets contain images. Choose a network for images, or train"
            " this one with slim.learning.train on batches of your own",
            named("model_name", name),
        )


def trained_model(
    given: ModelOptions, info: ModelInfo | None, dataset: SplitFacts | Classes
) -> ModelInfo:
    """Returns what a trained model is.

    Args:
      given: the options.
      info: what model_info.json says, if the checkpoint has one.
      dataset: what is known of the dataset.

    Raises:
      UserError: if an option contradicts `info`, nobody says what the network is, or the classes of
        the dataset are not the model's.
    """
    if info is None:
        return describe(
            described_network(given),
            dataset,
            labels_offset=given.labels_offset or 0,
            use_grayscale=bool(given.use_grayscale),
            preprocessing_name=given.preprocessing_name,
            moving_average_decay=given.moving_average_decay,
            quantized=bool(given.quantize),
        )
    lines = list(_contradictions(given, info)) or list(_other_classes(info, dataset))
    if lines:
        raise problems.OptionError(*lines)
    # The weights as they were trained are an answer too.
    return dataclasses.replace(info, quantized=info.quantized and given.quantize is not False)


def described_network(given: ModelOptions) -> str:
    """Returns the network of a checkpoint that only the options describe.

    Raises:
      UserError: if they do not name one, or none that is known.
    """
    if given.model_name is None:
        raise problems.error("{} is required: {}", named("model_name"), NO_INFO)
    return _checks.one_of("model_name", given.model_name, NETWORKS)


def _contradictions(given: ModelOptions, info: ModelInfo) -> Iterator[Problem]:
    preprocessing = given.preprocessing_name
    wanted = {
        "model_name": given.model_name,
        "labels_offset": given.labels_offset,
        "use_grayscale": given.use_grayscale,
        "moving_average_decay": given.moving_average_decay,
        "preprocessing_name": preprocessing and preprocessing_factory.resolve_name(preprocessing),
    }
    for name, value in wanted.items():
        if value is not None and value != getattr(info, name):
            yield Problem(
                "{} contradicts {!r} in model_info.json next to the checkpoint. Remove the option",
                named(name, repr(value)),
                getattr(info, name),
            )
    if given.quantize and not info.quantized:
        yield Problem(
            "{} needs a run with {}: according to model_info.json next to the checkpoint, this one"
            " has no ranges. Remove the option",
            named("quantize"),
            named("quantize_delay"),
        )


def _other_classes(info: ModelInfo, dataset: SplitFacts | Classes) -> Iterator[Problem]:
    if isinstance(dataset, Classes):
        return
    num_classes = classes.num_classes(dataset, info.labels_offset)
    if num_classes != info.num_classes:
        yield Problem(
            "dataset {!r} has {} classes, the model {} (both with {})",
            dataset.name,
            num_classes,
            info.num_classes,
            named("labels_offset", info.labels_offset),
        )
        return
    names = classes.label_names(dataset, info.labels_offset)
    for index, (ours, theirs) in enumerate(zip(info.label_names, names, strict=False)):
        if ours != theirs:
            yield Problem(
                "class {} is {!r} in the model and {!r} in {!r}", index, ours, theirs, dataset.name
            )
            return
