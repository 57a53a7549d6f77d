"""Resolves an evaluation from the options, the run, the dataset and model_info.json."""

import dataclasses
import os
from collections.abc import Iterator

from classifier.config import problems
from classifier.config.evaluation import EvalConfig
from classifier.config.problems import Problem, named
from classifier.model_info import ModelInfo
from classifier.resolve import model
from classifier.resolve.classes import Classes, ClassMap
from classifier.resolve.cluster import Cluster
from classifier.resolve.dataset_source import RecordedSource, location_of
from classifier.run_directory import RunDirectory
from datasets import dataset_factory
from datasets.location import Location
from datasets.splits import SplitMetadata
from slim import _checks, _json

# Splits to evaluate on if none is named, in order of preference.
_SPLITS = ("test", "validation", "val")
_SHOWN_CLASSES = 5


@dataclasses.dataclass(frozen=True)
class _RunOptions(RecordedSource):
    """The options of a run that are defaults of its evaluation."""

    eval_split_name: _json.Name | None = None


@dataclasses.dataclass(frozen=True)
class _RunConfig:
    """The contents of config.json that evaluation uses."""

    options: _RunOptions = _RunOptions()


@dataclasses.dataclass(frozen=True)
class ResolvedEvaluation:
    """A resolved evaluation.

    Attributes:
      config: the options.
      model: the model to evaluate.
      is_described: whether the model is described by the options only, without model_info.json.
      dataset_name: name of the dataset to evaluate on.
      split_name: name of the split.
      location: where the dataset is.
      image_size: height and width of the images, in pixels.
      num_samples: number of images in the split.
      num_images: number of images to evaluate, each once.
      num_batches: number of batches; the last one may be smaller.
      class_map: the dataset's classes as the model's, by name; None if they are the same.
      origin: where the dataset or the split is from if the options do not name both, else empty.
    """

    config: EvalConfig
    model: ModelInfo
    is_described: bool
    dataset_name: str
    split_name: str
    location: Location
    image_size: tuple[int, int]
    num_samples: int
    num_images: int
    num_batches: int
    class_map: ClassMap | None = None
    origin: str = ""

    @property
    def use_moving_averages(self) -> bool:
        """Whether the moving averages of the weights are evaluated, or evaluated first."""
        choice = self.config.run.use_averages
        if choice == "auto":
            return self.model.moving_average_decay is not None
        return choice != "false"

    @property
    def key_of_weights(self) -> dict[bool, str]:
        """Whether the averages are evaluated -> prefix of the metrics' names, in order."""
        if self.config.run.use_averages == "both":
            return {True: "", False: "raw_"}
        return {self.use_moving_averages: ""}


def check_workers(config: EvalConfig, workers: Cluster) -> None:
    """Checks that several workers can evaluate with these options.

    Raises:
      UserError: if not.
    """
    count, options = len(workers.hosts), config.run
    if count < 2:
        return
    single = {
        "eval_loop": options.eval_loop,
        "checkpoint_path": options.checkpoint_path if options.is_sweep else None,
        "calibrate": options.calibrate,
        "recalibrate_batch_norm": options.recalibrate_batch_norm,
        "report_duplicates_of": options.report_duplicates_of,
        "on_bad_image": "skip" if config.data.on_bad_image == "skip" else None,
    }
    for name, value in single.items():
        if value and workers.source:
            none = named("cluster", "none")
            raise problems.error(
                "{} supports a single worker only: pass {}", named(name, value), none
            )
        if value:
            raise problems.error("{} supports a single worker only", named(name, value))
    if options.batch_size % count:
        raise problems.error(
            "{} must be a multiple of {}: each worker has its part of every batch",
            named("batch_size", options.batch_size),
            named("worker_replicas", count),
        )
    if options.num_clones * count > options.batch_size:
        raise problems.error(
            "{} is less than an image for each clone: {}, {}",
            named("batch_size", options.batch_size),
            named("worker_replicas", count),
            named("num_clones", options.num_clones),
        )


def evaluation(config: EvalConfig, info: ModelInfo | None, run: RunDirectory) -> ResolvedEvaluation:
    """Resolves an evaluation.

    Args:
      config: the options.
      info: contents of model_info.json, or None if the checkpoint has none.
      run: run of the checkpoint.

    Raises:
      UserError: if the dataset is unknown or does not exist, an option contradicts `info`, the
        network is unknown or expects videos, or the dataset and the model have no common classes;
        or if the split to search for near-duplicates does not exist or is the evaluated one.
    """
    recorded = _recorded(config, run)
    name = evaluated_dataset(config, info, recorded.dataset_name)
    several = info.multi_label if info else config.model.multi_label
    location = location_of(name, _directory(config, recorded), config.source, several, recorded)
    metadata = _split(config, location, recorded)
    resolved = resolve_evaluation(config, info, metadata, location)
    searched = config.run.report_duplicates_of
    if searched is not None:
        if searched == resolved.split_name:
            raise problems.error(
                "{} is the evaluated split. Use another one",
                named("report_duplicates_of", searched),
            )
        dataset_factory.metadata_at(location, searched)
    return dataclasses.replace(resolved, origin=_origin(config, metadata, location))


def _recorded(config: EvalConfig, run: RunDirectory) -> _RunOptions:
    """Returns the options of the run; without a config.json, none."""
    directory = RunDirectory(config.run.train_dir) if config.run.train_dir else run
    return (directory.parent_run().read_config(_RunConfig) or _RunConfig()).options


def evaluated_dataset(
    config: EvalConfig, info: ModelInfo | None, recorded: str | None = None
) -> str:
    """Returns the name of the dataset to evaluate on.

    Args:
      config: the options.
      info: contents of model_info.json, or None if the checkpoint has none.
      recorded: name in the run's config.json, or None.

    Raises:
      UserError: if none of these has one.
    """
    name = config.data.dataset_name or (info.dataset_name if info else None) or recorded
    if name is None:
        raise problems.error("{} is required: {}", named("dataset_name"), model.NO_INFO)
    return name


def _directory(config: EvalConfig, recorded: _RunOptions) -> str | None:
    if config.data.dataset_dir is not None or config.source.dataset_file is not None:
        return config.data.dataset_dir
    if recorded.dataset_file is not None:
        return recorded.dataset_dir
    option = named("dataset_dir")
    if recorded.dataset_dir is None:
        raise problems.error("{} is required: the checkpoint has no config.json of a run", option)
    if not os.path.exists(recorded.dataset_dir):
        raise problems.error(
            "{} is required: the run's, {}, does not exist here",
            option,
            repr(_json.printable(recorded.dataset_dir)),
        )
    return recorded.dataset_dir


def _split(config: EvalConfig, location: Location, recorded: _RunOptions) -> SplitMetadata:
    """Returns the metadata of the split to evaluate on."""
    split_name = config.data.dataset_split_name
    if split_name is not None:
        return dataset_factory.metadata_at(location, split_name)
    validation = recorded.eval_split_name if config.run.train_dir else None
    present = dataset_factory.split_names(location)
    preferred = [*([validation] if validation else []), *_SPLITS]
    chosen = next((each for each in preferred if each in present), preferred[0])
    return dataset_factory.metadata_at(location, chosen)


def _origin(config: EvalConfig, split: SplitMetadata, location: Location) -> str:
    data = config.data
    path = data.dataset_dir or config.source.dataset_file
    if path is not None and data.dataset_split_name is not None:
        return ""
    chosen = ["directory"] * (path is None) + ["split"] * (data.dataset_split_name is None)
    return (
        f"dataset {split.name} in {_json.printable(location.file or str(location.directory))},"
        f" split {split.split_name}"
        f" ({' and '.join(chosen)} chosen automatically)"
    )


def resolve_evaluation(
    config: EvalConfig,
    info: ModelInfo | None,
    dataset: SplitMetadata,
    location: Location | None = None,
) -> ResolvedEvaluation:
    """Returns `evaluation(config, info, run)` for a split whose metadata is known."""
    class_map = model.class_map(config.model, info, dataset) if info else None
    known = dataset if class_map is None else Classes(dataset.name)
    trained = model.trained_model(config.model, info, known)
    model.check_images(trained.model_name)
    most = config.run.max_num_batches
    batch_size = config.run.batch_size
    num_images = min(dataset.num_samples, most * batch_size if most else dataset.num_samples)
    return ResolvedEvaluation(
        config=config,
        model=trained,
        is_described=info is None,
        dataset_name=dataset.name,
        split_name=dataset.split_name,
        location=location or Location(dataset.name),
        image_size=config.model.eval_image_size or trained.image_size,
        num_samples=dataset.num_samples,
        num_images=num_images,
        num_batches=-(-num_images // batch_size),
        class_map=class_map,
    )


def class_warnings(mapping: ClassMap) -> Iterator[str]:
    """Yields how a dataset's classes differ from the model's."""
    if mapping.missing:
        yield (
            "images of classes that the model does not have are not evaluated"
            f" ({len(mapping.missing)}: {_checks.listed(mapping.missing, _SHOWN_CLASSES)})"
        )
    if mapping.extra:
        yield (
            "classes of the model that are not in the dataset"
            f" ({len(mapping.extra)}: {_checks.listed(mapping.extra, _SHOWN_CLASSES)})"
        )


def near_chance(resolved: ResolvedEvaluation) -> str:
    """Returns the common causes of an accuracy that is close to chance."""
    if resolved.is_described:
        return Problem(
            "accuracy is close to chance. Common causes: another preprocessing or image size than"
            " in training ({}, {}), labels shifted by one ({}), another order of classes than in"
            " training",
            named("preprocessing_name"),
            named("eval_image_size"),
            named("labels_offset"),
        )
    return Problem(
        "accuracy is close to chance. Common causes: training ended early or diverged, moving"
        " averages that have not converged ({}, {}), images unlike those of training, another order"
        " of classes than in training",
        named("use_averages", "both"),
        named("recalibrate_batch_norm", 20),
    )
