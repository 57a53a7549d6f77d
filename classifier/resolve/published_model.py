"""Options that the table of published checkpoints sets; no TensorFlow."""

import dataclasses
from typing import Any, TypeVar

from classifier.config import problems
from classifier.config.data import AUTO_OFFSET
from classifier.config.evaluation import EvalConfig
from classifier.config.export import ExportConfig
from classifier.config.prediction import PredictConfig
from classifier.config.problems import named
from classifier.config.serving import ServeConfig
from classifier.config.training import TrainConfig
from nets import published
from nets.published import PublishedCheckpoint

IMAGENET = "imagenet"
C = TypeVar("C", EvalConfig, ExportConfig, PredictConfig, ServeConfig)


def of_training(config: TrainConfig) -> TrainConfig:
    """Returns the options of a training run, with those that its published checkpoint sets.

    A checkpoint that is named sets the network, its preprocessing and the image size where the
    options do not.

    Raises:
      UserError: if no network has the width of the checkpoint.
    """
    network, path = config.network, config.finetune.checkpoint_path
    row = published.of_name(path) if path else None
    values: dict[str, Any] = {}
    if row is not None:
        if not network.is_changed("model_name"):
            values["model_name"] = _network(row)
        if network.preprocessing_name is None:
            values["preprocessing_name"] = row.preprocessing
        if network.train_image_size is None:
            values["train_image_size"] = (row.image_size, row.image_size)
        config = dataclasses.replace(config, network=dataclasses.replace(network, **values))
    if config.data.labels_offset == AUTO_OFFSET:
        of_path = row or (published.find(path) if path else None)
        offset = of_path.labels_offset if of_path else _offset(config.network.model_name)
        offset = offset if config.data.dataset_name == IMAGENET else 0
        data = dataclasses.replace(config.data, labels_offset=offset)
        config = dataclasses.replace(config, data=data)
    return config


def of_trained(config: C) -> C:
    """Returns the options of a trained model, with those that its published checkpoint sets.

    Raises:
      UserError: if no network has the width of the checkpoint.
    """
    path, model = config.run.checkpoint_path, config.model
    row = published.of_name(path) if path else None
    values: dict[str, Any] = {}
    if model.labels_offset == AUTO_OFFSET:
        values["labels_offset"] = None
    if row is not None:
        if model.model_name is None:
            values["model_name"] = _network(row)
        if model.preprocessing_name is None:
            values["preprocessing_name"] = row.preprocessing
        if model.labels_offset in (None, AUTO_OFFSET) and _dataset(config) == IMAGENET:
            values["labels_offset"] = row.labels_offset
        size = (row.image_size, row.image_size)
        for name in ("eval_image_size", "image_size"):
            if getattr(model, name, ()) is None:
                values[name] = size
        if isinstance(config, ExportConfig) and config.run.image_size is None:
            run = dataclasses.replace(config.run, image_size=size)
            config = dataclasses.replace(config, run=run)
    return dataclasses.replace(config, model=dataclasses.replace(model, **values))


def in_words(path: str | None) -> str:
    """Returns a line on the published checkpoint of a name; empty for a path."""
    row = published.of_name(path) if path else None
    if row is None:
        return ""
    return (
        f"published checkpoint {row.stem}: {_network(row)}, {row.preprocessing} preprocessing at"
        f" {row.image_size}x{row.image_size}, labels_offset={row.labels_offset} on ImageNet"
    )


def _dataset(config: Any) -> str | None:
    return getattr(getattr(config, "data", None), "dataset_name", None)


def _network(row: PublishedCheckpoint) -> str:
    if row.built_network is None:
        raise problems.error(
            "{}: slim has no network {} of width {:g}. Use another checkpoint",
            named("checkpoint_path", row.stem),
            row.network,
            row.depth_multiplier,
        )
    return row.built_network


def _offset(network: str) -> int:
    offsets = {row.labels_offset for row in published.of_network(network)}
    return offsets.pop() if len(offsets) == 1 else 0
