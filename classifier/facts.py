"""From options to resolved runs: brings `resolve` the facts of the factories' tables and of the
disk, and tells where options contradict what is known of a published checkpoint.

No TensorFlow: a wrong folder, split, shard or checkpoint is answered before it is loaded.
"""

import contextlib
import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

from classifier import checkpoint_names, class_weights, resolve, resolve_graph, resolve_trained
from classifier.config.export import ExportConfig
from classifier.config.formats import FORMATS
from classifier.config.trained import EvalConfig, PredictConfig
from classifier.config.training import TrainConfig
from classifier.run_directory import ModelInfo, RunDirectory
from datasets import dataset_factory
from nets import published
from nets.nets_factory import NETWORKS
from preprocessing import preprocessing_factory
from slim import _checks, checkpoints

if TYPE_CHECKING:
    from slim.data.dataset import Dataset

# Its labels are those that the published checkpoints were trained with.
_PUBLISHED_DATASET = "imagenet"


# Where to look for images that training has not seen.
_SPLITS = ("validation", "test", "val", "train")


def training_run(config: TrainConfig) -> resolve.ResolvedRun:
    """Returns a training run, fully said.

    Raises:
      UserError: if the dataset is not there or an option does not fit it.
    """
    data = config.data
    facts = dataset_factory.get_facts(data.dataset_name, data.dataset_split_name, data.dataset_dir)
    resolved = resolve.resolve_training(config, facts, NETWORKS, preprocessing_factory)
    preprocessing_factory.check_switches(
        resolved.model.preprocessing_name, resolve.preprocessing_switches(config)
    )
    if resolved.eval_every_steps:
        dataset_factory.get_facts(
            data.dataset_name, config.validation.eval_split_name, data.dataset_dir
        )
    weights = _class_weights(config.loss.class_weights, resolved.model, facts.per_class)
    return dataclasses.replace(resolved, class_weights=weights)


def _class_weights(
    choice: str | None, model: ModelInfo, per_class: tuple[int, ...]
) -> tuple[float, ...]:
    if choice is None:
        return ()
    if choice != "auto":
        names = model.label_names or tuple(map(str, range(model.num_classes)))
        return class_weights.read(choice, names)
    if not per_class:
        raise _checks.UserError(
            "class_weights=auto needs the number of images of each class of"
            f" {model.dataset_name!r}, which only dataset_info.json has, and there is none; give"
            " a file"
        )
    return class_weights.by_frequency(per_class[model.labels_offset :])


def open_dataset(name: str, split_name: str, dataset_dir: str, max_pixels: int) -> "Dataset":
    """Returns a split, ready to be read; loads TensorFlow.

    Args:
      name: of the dataset.
      split_name: of the split.
      dataset_dir: directory with its files.
      max_pixels: largest number of pixels of an image.

    Raises:
      UserError: if it is not there or damaged.
    """
    dataset = dataset_factory.get_dataset(name, split_name, dataset_dir)
    return dataclasses.replace(dataset, decoder=dataset.decoder.with_max_pixels(max_pixels))


def evaluation(config: EvalConfig) -> tuple[resolve_trained.ResolvedEvaluation, str]:
    """Returns an evaluation, fully said, and the name of its dataset.

    Raises:
      UserError: if the dataset is not there or an option contradicts the model.
    """
    resolve_trained.check_evaluation(config.run)
    info = _model_info(config.run.checkpoint_path)
    name, data = resolve_trained.evaluated_dataset(config, info), config.data
    facts = dataset_factory.get_facts(name, data.dataset_split_name, data.dataset_dir)
    resolved = resolve_trained.resolve_evaluation(
        config, info, facts, NETWORKS, preprocessing_factory
    )
    return resolved, name


def export(config: ExportConfig) -> resolve_trained.ResolvedExport:
    """Returns an export, fully said.

    Raises:
      UserError: if an option contradicts the model, nobody says what it is, or options
        do not fit its input.
    """
    resolve_graph.check_inference(config.run)
    for name in config.run.formats or ():
        _checks.installed(FORMATS[name].packages)
    info, data = _model_info(str(config.run.checkpoint_path)), config.data
    dataset_name = resolve_trained.exported_dataset(config, info)
    facts: resolve.DatasetFacts | resolve_graph.Classes = resolve_graph.Classes()
    if dataset_name is not None and data.dataset_dir is not None:
        facts = _held_out(dataset_name, data.dataset_split_name, data.dataset_dir)
    elif info is None:
        facts = _classes(config, dataset_name)
    resolved = resolve_trained.resolve_export(config, info, facts, NETWORKS, preprocessing_factory)
    resolve_graph.check_videos(resolved.model.model_name, NETWORKS, config.run)
    return resolved


def _classes(config: ExportConfig, dataset_name: str | None) -> resolve_graph.Classes:
    """Returns the classes of a checkpoint that comes with neither model_info.json nor images: those
    of the dataset's row, or else those of the checkpoint's head."""
    spec = NETWORKS[resolve_trained.described_network(config.model, NETWORKS)]
    if dataset_name is not None:
        known = dataset_factory.get_spec(dataset_name).num_classes
        return resolve_graph.Classes(dataset_name, known, spec.channels)
    saved = checkpoints.read(checkpoints.find(str(config.run.checkpoint_path))).variables()
    shapes = {name: variable.shape for name, variable in saved.items()}
    head = checkpoint_names.head_classes(shapes, spec.heads)
    return resolve_graph.Classes(None, head or spec.classes, spec.channels)


def _held_out(name: str, split_name: str | None, dataset_dir: str) -> resolve.DatasetFacts:
    """Returns the facts of a split, or of the first of the usual ones that the folder has."""
    *others, last = (split_name,) if split_name else _SPLITS
    for each in others:
        with contextlib.suppress(_checks.UserError):
            return dataset_factory.get_facts(name, each, dataset_dir)
    return dataset_factory.get_facts(name, last, dataset_dir)


def graph(config: ExportConfig) -> resolve_graph.ResolvedGraph:
    """Returns the graph without weights that the options ask for; of a dataset without a folder,
    what its table says.

    Raises:
      UserError: if the dataset is not there or an option does not fit it or the network.
    """
    resolve_graph.check_inference(config.run)
    name = config.data.dataset_name or resolve_graph.DATASET_NAME
    if config.data.dataset_dir is None:
        classes = resolve_graph.Classes(name, dataset_factory.get_spec(name).num_classes)
    else:
        facts = dataset_factory.get_facts(name, "train", config.data.dataset_dir)
        classes = resolve_graph.Classes(name, facts.num_classes, facts.num_channels)
    return resolve_graph.resolve_graph(config, classes, NETWORKS, preprocessing_factory)


def prediction(config: PredictConfig) -> resolve_trained.ResolvedPrediction:
    """Returns a prediction, fully said.

    Raises:
      UserError: if the model is not known.
    """
    return resolve_trained.resolve_prediction(config, _model_info(config.checkpoint_path))


def example_images(count: int) -> tuple[str, Sequence[bytes]]:
    """Returns what the project's own pictures are called, and the first of them as PNG files."""
    return dataset_factory.example_images(count)


def training_warnings(resolved: resolve.ResolvedRun) -> list[str]:
    """Returns which options have nothing to act on, and what contradicts the checkpoint that a new
    run starts from, if it is a published one."""
    config, info = resolved.config, resolved.model
    idle = [*config.optimizer.without_effect(), *config.schedule.without_effect()]
    path = config.finetune.checkpoint_path
    return idle if path is None else [*idle, *_contradictions(path, info, info.image_size)]


def evaluation_warnings(resolved: resolve_trained.ResolvedEvaluation) -> list[str]:
    """Returns what contradicts the checkpoint that is evaluated, if it is a published one."""
    return _contradictions(resolved.config.run.checkpoint_path, resolved.model, resolved.image_size)


def export_warnings(resolved: resolve_trained.ResolvedExport) -> list[str]:
    """Returns what contradicts the checkpoint that is exported, if it is a published one."""
    path = str(resolved.config.run.checkpoint_path)
    return _contradictions(path, resolved.model, resolved.image_size)


def averages_warnings(checkpoint_path: str, are_left: bool) -> list[str]:
    """Returns what to say of moving averages that only an option could have asked for.

    Args:
      checkpoint_path: of the checkpoint.
      are_left: whether it has some that are not used.
    """
    if not are_left or not is_described_by_options(checkpoint_path):
        return []
    told = (
        "the checkpoint has moving averages of its weights, which are left out: give"
        " moving_average_decay=0.9999 to use them (they are as they were kept, whatever the number)"
    )
    return [told]


def is_described_by_options(checkpoint_path: str) -> bool:
    """Returns whether only the options say what a checkpoint's network, images and labels are."""
    return _model_info(checkpoint_path) is None


def _contradictions(path: str, model: ModelInfo, image_size: tuple[int, int]) -> list[str]:
    if not is_described_by_options(path):
        return []
    return list(
        published.contradictions(
            checkpoints.latest(path) or path,
            model.preprocessing_name,
            image_size,
            model.labels_offset if model.dataset_name == _PUBLISHED_DATASET else None,
        )
    )


def _model_info(checkpoint_path: str) -> ModelInfo | None:
    run = RunDirectory.of_checkpoint(checkpoint_path)
    info = run.read_model_info()
    if info is not None:
        try:
            _checks.one_of("model_name", info.model_name, NETWORKS)
            preprocessing_factory.resolve_name(info.preprocessing_name)
        except _checks.UserError as error:
            raise _checks.UserError(f"{run.model_info_path} cannot be used: {error}") from None
    return info
