"""What follows from the options and the facts of a training run, worked out by pure functions.

No TensorFlow and no disk: the callers bring the dataset's facts, the table of networks and the
function that gives a preprocessing's own name.
"""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, Protocol

from classifier import options
from classifier.config.step import StepOptions
from classifier.config.training import TrainConfig
from classifier.resolve_schedule import Schedule, resolve_schedule
from classifier.run_directory import ModelInfo
from slim import _checks


class DatasetFacts(Protocol):
    """What is used of `datasets.splits.SplitFacts`."""

    @property
    def name(self) -> str: ...
    @property
    def split_name(self) -> str: ...
    @property
    def num_samples(self) -> int: ...
    @property
    def num_classes(self) -> int: ...
    @property
    def labels_to_names(self) -> Mapping[int, str]: ...
    @property
    def num_channels(self) -> int | None: ...


class NetworkFacts(Protocol):
    """What is used of `nets.nets_factory.NetworkSpec`."""

    @property
    def image_size(self) -> int: ...
    @property
    def input_rank(self) -> int: ...


Networks = Mapping[str, NetworkFacts]


class Preprocessings(Protocol):
    """What is used of `preprocessing.preprocessing_factory`."""

    def resolve_name(self, name: str) -> str: ...
    def prepared_channels(self, name: str, channels: int, use_grayscale: bool) -> int: ...


# What config.json has of the schedule, beside its options.
_SCHEDULE_IN_CONFIG = ("decay_steps", "boundaries", "rates", "warmup_steps", "words")


@dataclasses.dataclass(frozen=True)
class ResolvedRun:
    """A training run, fully said.

    Attributes:
      config: the options.
      model: for model_info.json, without versions.
      num_samples: images of the split.
      global_batch_size: images a step, over all clones and workers and all that they accumulate.
      steps_per_epoch: steps for as many images as the split has.
      number_of_steps: where training ends; None: it does not.
      schedule: of the learning rate.
      eval_every_steps: steps between two evaluations inside training, at least 1; 0: none.
      save_every_steps: steps between two checkpoints; 0: they are not saved by steps.
      quantize_delay: steps before a network that rounds does so; -1: it never does.
      summary: batch, epoch and schedule in words.
      class_weights: how much each class counts in the loss; empty: all the same.
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

    def to_dict(self) -> dict[str, Any]:
        """Returns it as config.json has it: the options by name, and what follows from them."""
        resolved = {
            field.name: getattr(self, field.name)
            for field in dataclasses.fields(self)
            if field.name not in ("config", "model", "schedule", "summary")
        }
        resolved |= {name: getattr(self.schedule, name) for name in _SCHEDULE_IN_CONFIG}
        resolved["schedule"] = self.summary
        model = self.model.to_dict()
        del model["versions"]
        return {"options": options.flatten(self.config), "resolved": resolved | model}


def resolve_training(
    config: TrainConfig,
    dataset: DatasetFacts,
    networks: Networks,
    preprocessings: Preprocessings,
) -> ResolvedRun:
    """Works out a training run.

    Args:
      config: the options.
      dataset: the facts of the split.
      networks: name -> facts of the network.
      preprocessings: the table of preprocessings.

    Raises:
      UserError: if a name is not known, the network takes videos, no class is left, a decay is
        shorter than a step, or steps behind the end are to be profiled.
    """
    name = _checks.one_of("model_name", config.network.model_name, networks)
    check_images(name, networks)
    strategy = config.strategy
    clones = strategy.num_clones * strategy.worker_replicas
    of_a_clone = config.data.batch_size * config.step.accumulate_steps
    global_batch_size = of_a_clone * clones
    steps_per_epoch = dataset.num_samples / global_batch_size
    quantize_delay = _quantize_delay(config.step, steps_per_epoch)
    offset = config.data.labels_offset
    gray = config.network.use_grayscale
    preprocessing = preprocessings.resolve_name(config.network.preprocessing_name or name)
    model = ModelInfo(
        model_name=name,
        num_classes=num_classes(dataset, offset),
        label_names=label_names(dataset, offset),
        labels_offset=offset,
        image_size=config.network.train_image_size or square(networks[name]),
        num_channels=preprocessings.prepared_channels(
            preprocessing, dataset.num_channels or 3, gray
        ),
        preprocessing_name=preprocessing,
        use_grayscale=gray,
        moving_average_decay=config.optimizer.moving_average_decay,
        quantized=quantize_delay >= 0,
        dataset_name=dataset.name,
    )
    aggregated = strategy.replicas_to_aggregate if strategy.sync_replicas else 1
    schedule = resolve_schedule(
        config.schedule, dataset.num_samples, of_a_clone, clones, aggregated
    )
    end = _end(config, steps_per_epoch)
    _check_profiled(config.reporting.profile_steps, end)
    return ResolvedRun(
        config=config,
        model=model,
        num_samples=dataset.num_samples,
        global_batch_size=global_batch_size,
        steps_per_epoch=steps_per_epoch,
        number_of_steps=end,
        schedule=schedule,
        eval_every_steps=config.validation.eval_every_steps
        or _every(config.validation.eval_every_epochs * steps_per_epoch),
        save_every_steps=config.saving.save_interval_steps
        or _every(config.saving.save_interval_epochs * steps_per_epoch),
        quantize_delay=quantize_delay,
        summary=_in_words(config, steps_per_epoch, schedule),
    )


def check_images(name: str, networks: Networks) -> None:
    """Refuses a network of videos where images come.

    Raises:
      UserError: if it takes videos.
    """
    if networks[name].input_rank == 5:
        raise _checks.UserError(
            f"model_name={name!r} takes videos, and a dataset here holds images: choose a network"
            " of images, or train this one by slim.learning.train, with batches of your own"
        )


def _check_profiled(steps: tuple[int, ...] | None, end: int | None) -> None:
    if steps is not None and end is not None and steps[1] > end:
        raise _checks.UserError(
            f"profile_steps={steps[0]},{steps[1]} goes beyond the run's {end} steps"
        )


def preprocessing_switches(config: TrainConfig) -> dict[str, Any]:
    """Returns the distortions that the options choose, as arguments of the training
    preprocessing."""
    chosen = config.augmentation
    switches = {
        "random_crop": chosen.random_crop,
        "random_flip": chosen.random_flip,
        "color_distortion": chosen.color_distortion,
    }
    return {name: value for name, value in switches.items() if value is not None}


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
        "workers": strategy.worker_replicas,
        "clones": strategy.num_clones,
        "accumulated": config.step.accumulate_steps,
    }
    factors = [f"{count} {what}" for what, count in counts.items() if count > 1]
    product = " x ".join([*factors, str(batch)])
    total = batch * math.prod(counts.values())
    words = [f"global batch {total} = {product}"] if factors else []
    return "; ".join([*words, f"1 epoch = {steps_per_epoch:.10g} steps", schedule.words])


def num_classes(dataset: DatasetFacts, labels_offset: int) -> int:
    """Returns the length of the logits.

    Raises:
      UserError: if the offset leaves no class.
    """
    if labels_offset >= dataset.num_classes:
        raise _checks.UserError(
            f"labels_offset={labels_offset} leaves none of the {dataset.num_classes} classes"
            f" of {dataset.name!r}"
        )
    return dataset.num_classes - labels_offset


def label_names(dataset: DatasetFacts, labels_offset: int) -> tuple[str, ...]:
    """Returns the classes' names in the order of the logits; a class without one is its label."""
    if not dataset.labels_to_names:
        return ()
    labels = range(labels_offset, dataset.num_classes)
    return tuple(dataset.labels_to_names.get(label, str(label)) for label in labels)


def square(network: NetworkFacts) -> tuple[int, int]:
    """Returns the network's default image size: height and width, in pixels."""
    return network.image_size, network.image_size
