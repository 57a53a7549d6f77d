"""`--dry_run` of evaluation, prediction and the server: resolves the options, without writing."""

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from classifier import ownership
from classifier.checkpoints import fetch, sources
from classifier.config import formats
from classifier.config.evaluation import EvalConfig
from classifier.config.origins import Origins
from classifier.config.prediction import PredictConfig
from classifier.config.serving import ServeConfig
from classifier.inference import exported, image_files
from classifier.model_info import ModelInfo
from classifier.resolve import cluster, published_model
from classifier.resolve import evaluation as evaluations
from classifier.resolve import prediction as predictions
from classifier.run_directory import RunDirectory
from datasets.location import Location
from nets import published
from slim import _checks

PUBLISHED = "published checkpoint"


class Opened(NamedTuple):
    """A checkpoint, or what is known of a published one that is not in the cache."""

    info: ModelInfo | None
    run: RunDirectory
    head_classes: Callable[[Sequence[str]], int | None]


def opened(path: str, origins: Origins) -> Opened:
    """Opens a checkpoint as a run does, but downloads nothing.

    Raises:
      UserError, RunError: as `sources.open_checkpoint`.
    """
    row = published.of_name(path)
    directory = os.path.join(fetch.cache_directory(), row.stem if row else "")
    if row is not None and not os.path.isdir(directory):
        origins.add("not in the cache: it would be downloaded", checkpoint=row.stem)
        return Opened(None, RunDirectory(directory), lambda heads: None)
    checkpoint = sources.open_checkpoint(path)
    origins.add("checkpoint_path", checkpoint=checkpoint.prefix)
    return Opened(checkpoint.info, checkpoint.run, checkpoint.head_classes)


def evaluation(config: EvalConfig, origins: Origins) -> None:
    """Resolves an evaluation with the checks of `evaluate.run`.

    Raises:
      UserError, RunError: as `evaluate.run`.
    """
    config = published_model.of_trained(config)
    origins.follow(config, PUBLISHED)
    options = config.run
    for name in ("eval_json", "predictions_csv"):
        ownership.check_output(name, getattr(options, name))
    evaluations.check_workers(config, cluster.resolve(config.workers))
    is_series = options.eval_loop or options.is_sweep
    path = options.train_dir if is_series else options.checkpoint_path or options.train_dir
    info, run, _ = opened(str(path), origins)
    resolved = evaluations.evaluation(config, info, run)
    if info is None:
        of_data = {name: getattr(resolved.model, name) for name in ("num_classes", "multi_label")}
        origins.update("data", of_data)
    origins.update(*of_model(info, resolved.model, resolved.image_size))
    origins.update("run's config.json", of_location(resolved.location))
    origins.update("data", {"dataset_split_name": resolved.split_name})
    origins.add("data", num_samples=resolved.num_samples, classes=classes(resolved.model))
    origins.add(
        "options and data", num_images=resolved.num_images, num_batches=resolved.num_batches
    )


def prediction(config: PredictConfig | ServeConfig, origins: Origins) -> None:
    """Resolves a prediction or a server with the checks of `predict.run`.

    Raises:
      UserError, RunError: as `predict.run`.
    """
    options = config.run
    if isinstance(config, PredictConfig):
        for name in ("output_csv", "features_file"):
            ownership.check_output(name, getattr(options, name))
        paths = image_files.find(config.run.images, config.run.image_list)
        origins.add("images", num_images=len(paths))
    config = published_model.of_trained(config)
    origins.follow(config, PUBLISHED)
    export = formats.find_export(options.checkpoint_path)
    if export is None:
        info, _, head_classes = opened(options.checkpoint_path, origins)
    else:
        if isinstance(config, PredictConfig):
            predictions.check_exported(config.run)
        info = exported.read_model_info(export)
        several = bool(config.model.multi_label)
        runtime = exported.load(export, info, multi_label=several)
        head_classes = lambda heads: runtime.num_classes  # noqa: E731
        origins.add("checkpoint_path", export=export.path, kind=export.kind)
    resolved = predictions.prediction(config, info, head_classes)
    origins.update(*of_model(info, resolved.model, resolved.image_size))
    origins.update("number of classes", {"top_k": resolved.top_k})
    origins.add("model", classes=classes(resolved.model))


def of_model(
    info: ModelInfo | None, model: ModelInfo, image_size: tuple[int, int]
) -> tuple[str, Mapping[str, Any]]:
    """Returns the origin of a model's properties, and these by the names of the options."""
    values = {
        "eval_image_size": image_size,
        "image_size": image_size,
        "quantize": model.quantized,
        "labels_offset": model.labels_offset,
        "dataset_name": model.dataset_name,
    } | {
        name: getattr(model, name)
        for name in (
            *("model_name", "preprocessing_name", "num_classes", "use_grayscale"),
            *("moving_average_decay", "multi_label"),
        )
    }
    return ("model_info.json" if info else f"network {model.model_name}"), values


def of_location(location: Location | None) -> Mapping[str, Any]:
    """Returns the options of a dataset's location."""
    if location is None:
        return {}
    return {
        "dataset_name": location.name,
        "dataset_dir": location.directory,
        "dataset_file": location.file,
        "file_pattern": location.file_pattern,
        "labels_file": location.labels_file,
        "validation_fraction": location.validation_fraction,
        "split_seed": location.split_seed,
        "folds": location.folds,
        "fold": location.fold if location.folds else None,
    }


def classes(model: ModelInfo) -> str:
    """Returns the first names of a model's classes."""
    return _checks.listed(model.class_names, 5)
