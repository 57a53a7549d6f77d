"""Resolves a training run from the options and the dataset; no TensorFlow."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

from classifier.config import options, problems
from classifier.config.network import LOSSES
from classifier.config.problems import named
from classifier.config.step import StepOptions
from classifier.config.training import TrainConfig
from classifier.model_info import ModelInfo
from classifier.resolve import class_weights, finetune_plan, model, parameter_servers
from classifier.resolve.dataset_source import location_of
from classifier.resolve.schedule import Schedule, resolve_schedule
from datasets import dataset_factory
from datasets.location import Location
from datasets.splits import SplitMetadata
from nets.nets_factory import NETWORKS
from preprocessing import preprocessing_factory
from slim import _checks

# Attributes of the schedule in config.json; the others are options.
_SCHEDULE_IN_CONFIG = ("decay_steps", "boundaries", "rates", "warmup_steps", "words")


@dataclasses.dataclass(frozen=True)
class ResolvedRun:
    """A resolved training run.

    Attributes:
      config: the options.
      model: contents of model_info.json, without versions.
      num_samples: number of images in the split.
      global_batch_size: images per step, of all clones, workers and accumulated batches.
      steps_per_epoch: steps for as many images as the split has.
      number_of_steps: number of training steps. None: unlimited.
      schedule: learning rate schedule.
      eval_every_steps: steps between two evaluations during training. 0: no evaluation.
      save_every_steps: steps between two checkpoints. 0: not saved by steps.
      quantize_delay: steps before the layers start rounding to 8 bits. -1: never.
      summary: description of batch, epoch and schedule.
      class_weights: weight of each class in the loss. Empty: all have the weight 1.
      class_counts: number of images of each class. Empty: unknown.
      finetune_plan: options that `--finetune=auto` has chosen.
    """

    config: TrainConfig
    model: ModelInfo
    num_samples: int
    global_batch_size: int
    steps_per_epoch: float
    number_of_steps: int | None
    schedule: Schedule
    eval_every_steps: int
    save_every_steps: int
    quantize_delay: int
    summary: str
    class_weights: tuple[float, ...] = ()
    class_counts: tuple[int, ...] = ()
    finetune_plan: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Returns the contents of config.json: the options and the values resolved from them."""
        resolved = {
            field.name: getattr(self, field.name)
            for field in dataclasses.fields(self)
            if field.name not in ("config", "model", "schedule", "summary", "class_counts")
        }
        resolved |= {name: getattr(self.schedule, name) for name in _SCHEDULE_IN_CONFIG}
        resolved["schedule"] = self.summary
        model = self.model.to_dict()
        del model["versions"]
        return {"options": options.flatten(self.config), "resolved": resolved | model}


def training_run(config: TrainConfig) -> ResolvedRun:
    """Resolves a training run.

    Raises:
      UserError: if the dataset does not exist or has a single class, a name is unknown, the network
        expects videos, the offset removes all classes, a decay is shorter than a step, steps after
        the end are profiled, the preprocessing does not support a distortion, the class weights are
        invalid, or an option needs one label an image.
    """
    location = location_of_run(config)
    metadata = dataset_factory.metadata_at(location, config.data.dataset_split_name)
    if metadata.items and config.data.data_service is not None:
        raise problems.error(
            "{} needs TFRecords, but the images of {!r} are read in place, by this process. Convert"
            " them first",
            named("data_service"),
            metadata.name,
        )
    parameter_servers.check_data(config, metadata)
    plan: Mapping[str, Any] = {}
    if config.finetune.is_automatic:
        steps = _steps_per_epoch(config, metadata)
        preprocessing = config.network.preprocessing_name or config.network.model_name
        can_crop = preprocessing_factory.resolve_name(preprocessing) == "inception"
        has_validation = _has_validation(config)
        config, plan = finetune_plan.planned(config, steps, has_validation, can_crop)
    resolved = resolve_training(config, metadata)
    _check_classes(resolved)
    if resolved.eval_every_steps:
        dataset_factory.metadata_at(location, config.validation.eval_split_name)
    weights = class_weights.resolve(config.loss.class_weights, resolved.model, metadata.per_class)
    return dataclasses.replace(resolved, class_weights=weights, finetune_plan=plan)


def _check_classes(resolved: ResolvedRun) -> None:
    """Raises UserError if all images have the same class, which any network learns."""
    classes, counts = resolved.model.class_names, resolved.class_counts
    present = [name for name, count in zip(classes, counts, strict=False) if count] or classes
    if resolved.model.multi_label or len(present) > 1:
        return
    raise problems.error(
        "all images of {} {!r} are of the class {!r}; a classifier needs two classes or more. To"
        " tell a class from everything else, add a class with other images",
        named("dataset_name", resolved.model.dataset_name),
        resolved.config.data.dataset_split_name,
        present[0],
    )


def with_batch_size(config: TrainConfig, size: int) -> ResolvedRun:
    """Returns `training_run` of options with a batch size in place of auto."""
    return training_run(
        dataclasses.replace(config, data=dataclasses.replace(config.data, batch_size=size))
    )


def with_learning_rate(resolved: ResolvedRun, rate: float) -> ResolvedRun:
    """Returns a run with a learning rate in place of auto."""
    schedule = dataclasses.replace(resolved.config.schedule, learning_rate=rate)
    config = dataclasses.replace(resolved.config, schedule=schedule)
    return dataclasses.replace(training_run(config), finetune_plan=resolved.finetune_plan)


def _has_validation(config: TrainConfig) -> bool:
    try:
        dataset_factory.metadata_at(location_of_run(config), config.validation.eval_split_name)
    except _checks.UserError:
        return False
    return True


def _steps_per_epoch(config: TrainConfig, dataset: SplitMetadata) -> float:
    return dataset.num_samples / (_images_of_a_clone(config) * config.strategy.replicas)


def _images_of_a_clone(config: TrainConfig) -> int:
    """Returns the images per step and clone: of one image per batch until the size is known."""
    return max(1, config.data.batch_size) * config.step.accumulate_steps


def location_of_run(config: TrainConfig) -> Location:
    """Returns where the dataset of a training run is."""
    data = config.data
    return location_of(data.dataset_name, data.dataset_dir, config.source, data.multi_label)


def resolve_training(config: TrainConfig, dataset: SplitMetadata) -> ResolvedRun:
    """Returns `training_run(config)` for a split whose metadata is known, without class weights.

    It is a pure function and reads no files.
    """
    name = _checks.one_of("model_name", config.network.model_name, NETWORKS)
    model.check_images(name)
    strategy = config.strategy
    clones = strategy.replicas
    of_a_clone = _images_of_a_clone(config)
    steps_per_epoch = _steps_per_epoch(config, dataset)
    quantize_delay = _quantize_delay(config.step, steps_per_epoch)
    info = model.describe(
        name,
        dataset,
        labels_offset=config.data.labels_offset,
        use_grayscale=config.network.use_grayscale,
        preprocessing_name=config.network.preprocessing_name,
        moving_average_decay=config.optimizer.moving_average_decay,
        quantized=quantize_delay >= 0,
        image_size=config.network.train_image_size,
        num_classes=config.network.num_classes,
        multi_label=config.data.multi_label,
    )
    if info.multi_label:
        _check_several_labels(config)
    if config.batch_norm.sync_batch_norm:
        _check_synchronized(config.step)
    info = dataclasses.replace(info, decoding=dataset.decoding)
    preprocessing_factory.check_switches(info.preprocessing_name, config.augmentation.switches)
    aggregated = strategy.replicas_to_aggregate if strategy.sync_replicas else 1
    schedule = resolve_schedule(
        config.schedule, dataset.num_samples, of_a_clone, clones, aggregated
    )
    end = _end(config, steps_per_epoch)
    _check_profiled(config.reporting.profile_steps, end)
    return ResolvedRun(
        config=config,
        model=info,
        num_samples=dataset.num_samples,
        global_batch_size=of_a_clone * clones,
        steps_per_epoch=steps_per_epoch,
        number_of_steps=end,
        schedule=schedule,
        eval_every_steps=config.validation.eval_every_steps
        or _every(config.validation.eval_every_epochs * steps_per_epoch),
        save_every_steps=config.saving.save_interval_steps
        or _every(config.saving.save_interval_epochs * steps_per_epoch),
        quantize_delay=quantize_delay,
        summary=_in_words(config, steps_per_epoch, schedule),
        class_counts=tuple(dataset.per_class[info.labels_offset :]),
    )


def _check_synchronized(step: StepOptions) -> None:
    """Checks that clones compute their batches in step with each other."""
    excluded = {
        named("accumulate_steps", step.accumulate_steps): step.accumulate_steps > 1,
        named("jit_compile", step.jit_compile): step.jit_compile == "true",
        named("recompute_gradients"): step.recompute_gradients,
    }
    for option, is_set in excluded.items():
        if is_set:
            raise problems.error("{} cannot be used with {}", named("sync_batch_norm"), option)


def _check_several_labels(config: TrainConfig) -> None:
    if config.loss.loss == "softmax":
        raise problems.error(
            "{} needs one label an image, but the dataset has several. Allowed: {}",
            named("loss", "softmax"),
            ", ".join(LOSSES[1:]),
        )
    instead = {
        named("balanced_sampling"): (
            config.data.balanced_sampling,
            named("class_weights", "auto"),
        ),
        named("finetune", "auto"): (config.finetune.is_automatic, named("finetune", "all")),
    }
    for option, (is_set, other) in instead.items():
        if is_set:
            raise problems.error(
                "{} needs one label an image, but the dataset has several. Use {}", option, other
            )


def _check_profiled(steps: tuple[int, ...] | None, end: int | None) -> None:
    if steps is not None and end is not None and steps[1] > end:
        raise problems.error("{} exceeds the run's {} steps", named("profile_steps", steps), end)


def _every(steps: float) -> int:
    return max(1, round(steps)) if steps else 0


def _quantize_delay(step: StepOptions, steps_per_epoch: float) -> int:
    epochs = step.quantize_delay_epochs
    return step.quantize_delay if epochs is None else round(epochs * steps_per_epoch)


def _end(config: TrainConfig, steps_per_epoch: float) -> int | None:
    epochs = config.run.max_number_of_epochs
    return config.run.max_number_of_steps if epochs is None else math.ceil(epochs * steps_per_epoch)


def _in_words(config: TrainConfig, steps_per_epoch: float, schedule: Schedule) -> str:
    batch, strategy = config.data.batch_size, config.strategy
    counts = {
        "workers": 1 if strategy.num_ps_tasks else strategy.worker_replicas,
        "clones": strategy.num_clones,
        "accumulated": config.step.accumulate_steps,
    }
    factors = [f"{count} {what}" for what, count in counts.items() if count > 1]
    product = " x ".join([*factors, str(batch)])
    total = batch * math.prod(counts.values())
    words = [f"global batch {total} = {product}"] if factors else []
    if strategy.num_ps_tasks:
        count = strategy.worker_replicas
        words.append(f"each step a batch of one of {count} worker{'s' * (count > 1)}")
    return "; ".join([*words, f"1 epoch = {steps_per_epoch:.10g} steps", schedule.words])
