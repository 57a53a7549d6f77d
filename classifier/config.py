"""The options of training and of making a dataset: one class a concern, one field a flag.

A new flag is a field here, and a reader of it (a test looks for one). The defaults are the
original's; the places on disk, which had a folder in /tmp, have none.
"""

import dataclasses
import functools
import math
from collections.abc import Iterator

from classifier.options import Options, option, required
from slim import _checks

_positive = _checks.positive
_non_negative = _checks.non_negative
_fraction = functools.partial(_checks.in_range, 0, 1)

OPTIMIZERS = ("adadelta", "adagrad", "adam", "ftrl", "momentum", "rmsprop", "sgd")
DECAYS = ("fixed", "exponential", "polynomial")


def sides(**sizes: tuple[int, int]) -> None:
    """Raises UserError unless height and width are positive."""
    for name, size in sizes.items():
        for side in size:
            _checks.positive(**{name: side})


def _not_above_zero(**values: float) -> None:
    _checks.in_range(-math.inf, 0, **values)


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunOptions(Options):
    """The run."""

    train_dir: str = required(
        "Folder of the run: checkpoints, events, metrics. The same command again resumes it.",
        path="new_folder",
        resume="free",
    )
    max_number_of_steps: int | None = option(
        None,
        "Training steps in all, resumed ones included; without it, until stopped.",
        check=_positive,
    )
    seed: int = option(
        0,
        "Seed of the variables, the order of the examples, augmentation and dropout.",
        check=_non_negative,
        resume="refused",
    )
    steps_per_loop: int = option(
        1, "Training steps between two looks of Python at the device.", check=_positive
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainingDataOptions(Options):
    """Data."""

    dataset_name: str = option(
        "imagenet", "Name of the dataset.", table="datasets", resume="refused"
    )
    dataset_split_name: str = option("train", "Split of the dataset to train on.", resume="refused")
    dataset_dir: str = required("Folder with the dataset's files.", path="folder")
    labels_offset: int = option(
        0,
        "Subtracted from each label: 1 leaves out ImageNet's background class (VGG, ResNet v1).",
        check=_non_negative,
    )
    batch_size: int = option(32, "Images of a step and clone.", check=_positive)
    num_readers: int = option(4, "Shards read side by side.", check=_positive)
    num_preprocessing_threads: int = option(4, "Images prepared side by side.", check=_positive)
    shuffle_buffer_mb: int = option(
        512,
        "Most memory for encoded images waiting to be drawn in random order, in MB.",
        check=_positive,
        resume="refused",
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class NetworkOptions(Options):
    """Network."""

    model_name: str = option("inception_v3", "Name of the network.", table="networks")
    preprocessing_name: str | None = option(
        None,
        "Preprocessing, by its name or a network's; default: the network's.",
        table="preprocessings",
    )
    train_image_size: tuple[int, int] | None = option(
        None,
        "Size of the training images, in pixels; default: the network's.",
        check=sides,
        resume="free",  # the size that follows from it is compared
    )
    use_grayscale: bool = option(False, "Turn the images to one channel.")


@dataclasses.dataclass(frozen=True, kw_only=True)
class LossOptions(Options):
    """Loss."""

    weight_decay: float = option(
        0.00004, "Coefficient of the L2 penalty on the weights.", check=_non_negative
    )
    label_smoothing: float = option(
        0.0, "Share of each label spread evenly over all classes, 0 to 1.", check=_fraction
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class OptimizerOptions(Options):
    """Optimizer."""

    optimizer: str = option(
        "rmsprop", "Name of the optimizer.", choices=OPTIMIZERS, resume="refused"
    )
    adadelta_rho: float = option(0.95, "Decay rate of adadelta.", check=_fraction)
    adagrad_initial_accumulator_value: float = option(
        0.1, "Starting value of adagrad's accumulators.", check=_positive
    )
    adam_beta1: float = option(0.9, "Decay rate of adam's first moments.", check=_fraction)
    adam_beta2: float = option(0.999, "Decay rate of adam's second moments.", check=_fraction)
    opt_epsilon: float = option(1.0, "Epsilon of adadelta, adam and rmsprop.", check=_non_negative)
    ftrl_learning_rate_power: float = option(
        -0.5, "Power of the learning rate of ftrl; zero or less.", check=_not_above_zero
    )
    ftrl_initial_accumulator_value: float = option(
        0.1, "Starting value of ftrl's accumulators.", check=_non_negative
    )
    ftrl_l1: float = option(0.0, "L1 strength of ftrl.", check=_non_negative)
    ftrl_l2: float = option(0.0, "L2 strength of ftrl.", check=_non_negative)
    momentum: float = option(0.9, "Momentum of the momentum optimizer.", check=_fraction)
    rmsprop_momentum: float = option(0.9, "Momentum of rmsprop.", check=_fraction)
    rmsprop_decay: float = option(
        0.9, "Decay rate of rmsprop's moving mean of squares.", check=_fraction
    )
    clip_gradient_norm: float = option(
        0.0, "Largest norm of each gradient; 0 does not clip.", check=_non_negative
    )
    moving_average_decay: float | None = option(
        None,
        "Decay of moving averages of the weights, for evaluation; without it, none are kept.",
        check=_fraction,
        resume="refused",
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class ScheduleOptions(Options):
    """Learning rate."""

    learning_rate: float = option(0.01, "Initial learning rate.", check=_positive)
    learning_rate_decay_type: str = option(
        "exponential", "How the learning rate falls.", choices=DECAYS
    )
    end_learning_rate: float = option(
        0.0001, "Last learning rate of the polynomial decay.", check=_non_negative
    )
    learning_rate_decay_factor: float = option(
        0.94, "Factor of each step of the exponential decay.", check=_positive
    )
    num_epochs_per_decay: float = option(
        2.0,
        "Epochs, counted in global batches, of one exponential step or of the polynomial decay.",
        check=_positive,
    )
    warmup_epochs: float = option(
        0.0, "Epochs over which the learning rate rises from 0.", check=_non_negative
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class FinetuneOptions(Options):
    """Fine-tuning."""

    checkpoint_path: str | None = option(
        None, "Checkpoint, or folder of checkpoints, that a new run starts from.", path="checkpoint"
    )
    checkpoint_exclude_scopes: tuple[str, ...] = option(
        (), "Scopes of the variables that are not taken from that checkpoint, separated by commas."
    )
    trainable_scopes: tuple[str, ...] = option(
        (), "Scopes of the variables to train; without it, all.", resume="refused"
    )
    ignore_missing_vars: bool = option(
        False, "Go on when that checkpoint lacks variables; they start fresh."
    )

    def conflicts(self) -> Iterator[str]:
        """Yields the options that say how to restore when there is nothing to restore."""
        if self.checkpoint_path is None:
            for name in ("checkpoint_exclude_scopes", "ignore_missing_vars"):
                if getattr(self, name):
                    yield f"{name} needs checkpoint_path: it says what to take from that checkpoint"


@dataclasses.dataclass(frozen=True, kw_only=True)
class StrategyOptions(Options):
    """Devices."""

    num_clones: int = option(
        1, "Devices that train side by side, each on a batch of its own.", check=_positive
    )
    clone_on_cpu: bool = option(False, "Train on the CPU though there are GPUs.")


@dataclasses.dataclass(frozen=True, kw_only=True)
class SavingOptions(Options):
    """Logging and saving."""

    log_every_n_steps: int = option(10, "Steps between two log lines.", check=_positive)
    save_summaries_secs: int = option(
        600, "Seconds between two summaries for TensorBoard; 0 writes none.", check=_non_negative
    )
    save_interval_secs: int = option(
        600, "Seconds between two checkpoints; 0 does not save by time.", check=_non_negative
    )
    save_interval_steps: int = option(
        0, "Steps between two checkpoints; 0 does not save by steps.", check=_non_negative
    )
    max_to_keep: int = option(5, "Newest checkpoints to keep; 0 keeps all.", check=_non_negative)
    keep_checkpoint_every_n_hours: float = option(
        0.0,
        "Hours of training after which one more checkpoint is kept for good; 0: none.",
        check=_non_negative,
    )


@dataclasses.dataclass(frozen=True)
class TrainConfig:
    """Options of `train_image_classifier.py`."""

    run: RunOptions
    data: TrainingDataOptions
    network: NetworkOptions = NetworkOptions()
    loss: LossOptions = LossOptions()
    optimizer: OptimizerOptions = OptimizerOptions()
    schedule: ScheduleOptions = ScheduleOptions()
    finetune: FinetuneOptions = FinetuneOptions()
    strategy: StrategyOptions = StrategyOptions()
    saving: SavingOptions = SavingOptions()


@dataclasses.dataclass(frozen=True, kw_only=True)
class DataConfig(Options):
    """Data."""

    dataset_name: str = required(
        "Name of the dataset; or verify, which reads a dataset and tells what is wrong with it.",
        table="conversions",
    )
    dataset_dir: str = required("Folder to write the dataset's files to.", path="new_folder")
    source_dir: str | None = option(
        None,
        "Folder with the archives fetched by hand, which are downloaded without it; for folder, the"
        " folder of pictures: SRC/<class>/<image> or SRC/{train,validation,test}/<class>/<image>.",
        path="folder",
    )
    validation_fraction: float | None = option(
        None,
        "Share of each class held out for validation, for folder; without it, 0.1.",
        check=_fraction,
    )
    split_seed: int | None = option(
        None,
        "Decides, for folder, which pictures are held out and the order; without it, 0.",
        check=_non_negative,
    )
    on_bad_image: str | None = option(
        None,
        "What to do when files are no good pictures: error (the default) makes nothing, skip leaves"
        " them out; bad_files.csv lists them all.",
        choices=("error", "skip"),
    )
    max_pixels: int | None = option(
        None, "Most pixels of a picture; without it, 89478485.", check=_positive
    )
    small_object_area_threshold: float | None = option(
        None,
        "Share of the picture's area, 0 to 1, above which an object counts, for visualwakewords;"
        " without it, 0.005.",
        check=_fraction,
    )
    foreground_class_of_interest: str | None = option(
        None, "Category of COCO to be recognized, for visualwakewords; without it, person."
    )
