"""Resolves an export from the options, model_info.json and the checkpoint."""

import contextlib
import dataclasses
from collections.abc import Callable, Sequence

from classifier.config import problems
from classifier.config.export import DEFAULT_FORMATS, ExportConfig
from classifier.config.formats import FORMATS
from classifier.config.problems import named
from classifier.model_info import ModelInfo
from classifier.resolve import dataset_source, graph, model
from classifier.resolve.classes import Classes, with_imagenet_names
from classifier.resolve.dataset_source import location_of
from classifier.run_directory import RunDirectory
from datasets import dataset_factory
from datasets.location import Location
from datasets.splits import SplitMetadata
from nets.nets_factory import NETWORKS
from preprocessing import preprocessing_factory
from slim import _checks

# Splits to compare formats on, in order of preference: those not used in training come first.
_SPLITS = ("validation", "test", "val", "train")


@dataclasses.dataclass(frozen=True)
class ResolvedExport:
    """A resolved export.

    Attributes:
      config: the options.
      model: the model to export.
      is_described: whether the model is described by the options only, without model_info.json.
      image_size: height and width of the images, in pixels.
      formats: names of the formats to write.
      dataset: name and split of the images on which formats are compared. None: the digits that
        come with the project.
      location: where that dataset is.
    """

    config: ExportConfig
    model: ModelInfo
    is_described: bool
    image_size: tuple[int, int]
    formats: tuple[str, ...]
    dataset: tuple[str, str] | None
    location: Location | None = None


def check_export(config: ExportConfig) -> None:
    """Checks what does not depend on the checkpoint.

    Raises:
      UserError: if an option is not supported, or a package of a format is not installed.
    """
    graph.check_inference(config.run)
    for name in config.run.formats or ():
        _checks.installed(FORMATS[name].packages)


def export(
    config: ExportConfig,
    info: ModelInfo | None,
    head_classes: Callable[[Sequence[str]], int | None],
    run: RunDirectory | None = None,
) -> ResolvedExport:
    """Resolves an export.

    Args:
      config: the options.
      info: contents of model_info.json, or None if the checkpoint has none.
      head_classes: function from the scopes of a network's head to the number of classes that the
        checkpoint has there.
      run: run of the checkpoint, if known.

    Raises:
      UserError: if an option contradicts `info`, the network is unknown, the dataset does not
        exist, or options do not fit the network's input.
    """
    name, data = exported_dataset(config, info), config.data
    dataset: SplitMetadata | Classes = Classes()
    location = None
    if name is not None and _has_images(config):
        recorded = dataset_source.recorded_source(run)
        several = info.multi_label if info else config.model.multi_label
        location = location_of(name, data.dataset_dir, config.source, several, recorded)
        dataset = _held_out(location, data.dataset_split_name)
    elif info is None:
        dataset = _classes(config, name, head_classes)
    resolved = resolve_export(config, info, dataset)
    graph.check_videos(resolved.model.model_name, config.run)
    return dataclasses.replace(resolved, location=location)


def _has_images(config: ExportConfig) -> bool:
    return config.data.dataset_dir is not None or config.source.dataset_file is not None


def exported_dataset(config: ExportConfig, info: ModelInfo | None) -> str | None:
    """Returns the name of the model's dataset, or None if it is unknown.

    Raises:
      UserError: if the options of the dataset are incomplete.
    """
    data = config.data
    if not _has_images(config):
        if data.dataset_split_name is not None:
            raise problems.error("{} needs {}", named("dataset_split_name"), named("dataset_dir"))
        if info is not None and data.dataset_name is not None:
            raise problems.error(
                "{} needs {}: the classes are read from the checkpoint's model_info.json",
                named("dataset_name"),
                named("dataset_dir"),
            )
        return data.dataset_name
    name = data.dataset_name or (info.dataset_name if info else None)
    if name is None:
        raise problems.error("{} is required with {}", named("dataset_name"), named("dataset_dir"))
    return name


def _held_out(location: Location, split_name: str | None) -> SplitMetadata:
    """Returns the metadata of a split. Default: the first of the usual ones in the dataset."""
    *others, last = (split_name,) if split_name else _SPLITS
    for each in others:
        with contextlib.suppress(_checks.UserError):
            return dataset_factory.metadata_at(location, each)
    return dataset_factory.metadata_at(location, last)


def _classes(
    config: ExportConfig,
    dataset_name: str | None,
    head_classes: Callable[[Sequence[str]], int | None],
) -> Classes:
    """Returns the classes of a checkpoint without model_info.json and without a dataset directory.

    They are those of the named dataset, or else those of the checkpoint's head.
    """
    spec = NETWORKS[model.described_network(config.model)]
    if dataset_name is not None:
        known = dataset_factory.get_spec(dataset_name).num_classes
        return Classes(dataset_name, known, spec.channels)
    return Classes(None, head_classes(spec.heads) or spec.classes, spec.channels)


def resolve_export(
    config: ExportConfig, info: ModelInfo | None, dataset: SplitMetadata | Classes
) -> ResolvedExport:
    """Returns `export(config, info, ...)` for a dataset with known metadata or classes."""
    exported_dataset(config, info)
    trained = with_imagenet_names(model.trained_model(config.model, info, dataset))
    images = None if isinstance(dataset, Classes) else dataset
    formats = config.run.formats or DEFAULT_FORMATS
    if images is None:
        _check_no_images(config, formats)
    if config.run.input_type == "uint8_image":
        _check_normalization(trained, formats)
    without = [name for name in formats if trained.quantized and not FORMATS[name].rounds]
    if without:
        raise problems.error(
            "{} does not support the rounding of a quantized run. Add {} to export the weights"
            " unrounded",
            named("formats", without),
            named("quantize", False),
        )
    return ResolvedExport(
        config=config,
        model=trained,
        is_described=info is None,
        image_size=config.run.image_size or trained.image_size,
        formats=formats,
        dataset=(images.name, images.split_name) if images else None,
    )


def _check_normalization(info: ModelInfo, formats: Sequence[str]) -> None:
    """Checks that TFLite files can normalize pixels."""
    known = preprocessing_factory.normalization(info.preprocessing_name, info.use_grayscale)
    lite = [name for name in formats if FORMATS[name].no_videos]
    if lite and known is None:
        raise problems.error(
            "{} is not supported with {}: {} normalizes each image by its own mean",
            named("input_type", "uint8_image"),
            named("formats", lite),
            named("preprocessing_name", info.preprocessing_name),
        )


def _check_no_images(config: ExportConfig, formats: Sequence[str]) -> None:
    for name in formats:
        if FORMATS[name].measured:
            template = "{} needs {}: its accuracy is measured on the dataset"
            if FORMATS[name].calibrated:
                template += " and its ranges are calibrated on the training split"
            raise problems.error(template, named("formats", name), named("dataset_dir"))
    if config.run.max_drop is not None:
        raise problems.error(
            "{} needs {}: accuracy is measured on the dataset",
            named("max_drop"),
            named("dataset_dir"),
        )
