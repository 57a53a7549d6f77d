"""Resolves a model from model_info.json, or else from the options and the dataset.

Options default to the values in model_info.json, and contradicting it is an error. The image size
is an exception: convolutions accept any.
"""

import dataclasses
from collections.abc import Iterator

from classifier.config import problems
from classifier.config.model import ModelOptions
from classifier.config.problems import Problem, named
from classifier.model_info import ModelInfo
from classifier.resolve import classes
from classifier.resolve.classes import Classes, ClassMap
from datasets.splits import SplitMetadata
from nets.nets_factory import NETWORKS
from preprocessing import preprocessing_factory
from slim import _checks

NO_INFO = "there is no model_info.json next to the checkpoint"


def describe(
    name: str,
    dataset: SplitMetadata | Classes,
    *,
    labels_offset: int,
    use_grayscale: bool,
    preprocessing_name: str | None,
    moving_average_decay: float | None,
    quantized: bool,
    image_size: tuple[int, int] | None = None,
    num_classes: int | None = None,
    multi_label: bool | None = None,
) -> ModelInfo:
    """Returns the model of a network and a dataset.

    Args:
      name: name of the network.
      dataset: metadata of the split, or only its classes.
      labels_offset: label of class 0.
      use_grayscale: whether images are converted to one channel.
      preprocessing_name: name of a preprocessing or a network. None: the network's default.
      moving_average_decay: decay of the weights' moving averages. None: no averages.
      quantized: whether the layers round to 8 bits.
      image_size: height and width, in pixels. None: the network's default.
      num_classes: number of logits. None: the dataset's number of classes.
      multi_label: whether an image has any number of labels. None: as in the dataset.

    Raises:
      UserError: if the offset removes all classes, the dataset has more classes than logits or
        several labels an image that the model cannot have, or the preprocessing is unknown.
    """
    preprocessing = preprocessing_factory.resolve_name(preprocessing_name or name)
    label_names: tuple[str, ...] = ()
    has_several = not isinstance(dataset, Classes) and dataset.multi_label
    if has_several and multi_label is False:
        raise problems.error(
            "{} contradicts dataset {!r}, whose images have several labels. Remove the option",
            named("multi_label", False),
            dataset.name,
        )
    if isinstance(dataset, Classes):
        num_classes = classes.num_logits(dataset.logits(labels_offset), dataset.name, num_classes)
    else:
        in_dataset = classes.num_classes(dataset, labels_offset)
        num_classes = classes.num_logits(in_dataset, dataset.name, num_classes)
        label_names = classes.label_names(dataset, labels_offset, num_classes)
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
        multi_label=has_several if multi_label is None else multi_label,
    )


def check_images(name: str) -> None:
    """Raises UserError if a network expects videos."""
    if NETWORKS[name].input_rank == 5:
        raise problems.error(
            "{} expects videos, but datasets contain images. Choose another"
            " network, or train it with slim.learning.train and your own batches",
            named("model_name", name),
        )


def trained_model(
    options: ModelOptions, info: ModelInfo | None, dataset: SplitMetadata | Classes
) -> ModelInfo:
    """Resolves a trained model.

    Args:
      options: options that describe the model.
      info: contents of model_info.json, or None if the checkpoint has none.
      dataset: metadata of the dataset, or only its classes.

    Raises:
      UserError: if an option contradicts `info`, the network is unknown, or the classes of the
        dataset and the model differ.
    """
    if info is None:
        return describe(
            described_network(options),
            dataset,
            labels_offset=options.labels_offset or 0,
            use_grayscale=bool(options.use_grayscale),
            preprocessing_name=options.preprocessing_name,
            moving_average_decay=options.moving_average_decay,
            quantized=bool(options.quantize),
            num_classes=options.num_classes,
            multi_label=options.multi_label,
        )
    lines = list(_contradictions(options, info)) or list(_other_classes(options, info, dataset))
    if lines:
        raise problems.OptionError(*lines)
    # quantize=false selects the unrounded weights.
    return dataclasses.replace(info, quantized=info.quantized and options.quantize is not False)


def class_map(options: ModelOptions, info: ModelInfo, dataset: SplitMetadata) -> ClassMap | None:
    """Returns the dataset's classes as the model's if they differ and have common names."""
    if dataset.multi_label and not info.multi_label:
        raise problems.error(
            "the images of dataset {!r} have several labels, but the model has one class an image",
            dataset.name,
        )
    if not any(_other_classes(options, info, dataset)):
        return None
    return classes.map_by_name(info.label_names, dataset)


def described_network(options: ModelOptions) -> str:
    """Returns the network of a checkpoint without model_info.json.

    Raises:
      UserError: if the options name none, or an unknown one.
    """
    if options.model_name is None:
        raise problems.error("{} is required: {}", named("model_name"), NO_INFO)
    return _checks.one_of("model_name", options.model_name, NETWORKS)


def _contradictions(options: ModelOptions, info: ModelInfo) -> Iterator[Problem]:
    preprocessing = options.preprocessing_name
    requested = {
        "model_name": options.model_name,
        "num_classes": options.num_classes,
        "labels_offset": options.labels_offset,
        "use_grayscale": options.use_grayscale,
        "moving_average_decay": options.moving_average_decay,
        "multi_label": options.multi_label,
        "preprocessing_name": preprocessing and preprocessing_factory.resolve_name(preprocessing),
    }
    for name, value in requested.items():
        if value is not None and value != getattr(info, name):
            yield Problem(
                "{} contradicts {!r} in model_info.json next to the checkpoint. Remove the option",
                named(name, repr(value)),
                getattr(info, name),
            )
    if options.quantize and not info.quantized:
        yield Problem(
            "{} needs a run with {}: according to model_info.json, this one has no quantization"
            " ranges. Remove the option",
            named("quantize"),
            named("quantize_delay"),
        )


def _other_classes(
    options: ModelOptions, info: ModelInfo, dataset: SplitMetadata | Classes
) -> Iterator[Problem]:
    if isinstance(dataset, Classes):
        return
    num_classes = classes.num_classes(dataset, info.labels_offset)
    has_unused = options.num_classes is not None or _has_unused_classes(info, num_classes)
    if num_classes > info.num_classes or (num_classes < info.num_classes and not has_unused):
        yield Problem(
            "dataset {!r} has {} classes, the model has {} (both with {})",
            dataset.name,
            num_classes,
            info.num_classes,
            named("labels_offset", info.labels_offset),
        )
        return
    names = classes.label_names(dataset, info.labels_offset, num_classes)
    for index, (ours, theirs) in enumerate(zip(info.label_names, names, strict=False)):
        if ours != theirs:
            yield Problem(
                "class {} is {!r} in the model and {!r} in {!r}", index, ours, theirs, dataset.name
            )
            return


def _has_unused_classes(info: ModelInfo, num_classes: int) -> bool:
    """Returns whether the model was trained with more logits than its dataset has classes.

    The names of the further ones are their labels.
    """
    labels = range(info.labels_offset + num_classes, info.labels_offset + info.num_classes)
    return bool(labels) and info.label_names[num_classes:] == tuple(map(str, labels))
