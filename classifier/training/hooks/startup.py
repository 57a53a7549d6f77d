"""The first lines of a run: what was found, and where it starts from."""

import datetime
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence

import tensorflow as tf

import slim
from classifier.checkpoints import sources
from classifier.config import problems
from classifier.config.problems import Problem, named
from classifier.model_info import ModelInfo
from classifier.resolve import warnings
from classifier.resolve.resume import Change
from classifier.resolve.training import ResolvedRun
from classifier.run_directory import RunDirectory
from classifier.training import batch_norm, warm_start
from slim import _checks, learning
from slim.data.dataset import Dataset


class StartupReport(learning.Hook):
    """The beginning of a run: says what was found.

    Attributes:
      is_complete: whether there was no step left to do.
    """

    def __init__(
        self,
        resolved: ResolvedRun,
        directory: RunDirectory,
        changes: Sequence[Change],
        dataset: Dataset,
        devices: Sequence[str],
    ) -> None:
        self.is_complete = False
        self._resolved = resolved
        self._directory = directory
        self._changes = changes
        self._dataset = dataset
        self._devices = devices
        self._started_from = "Starting at step 0 with fresh weights"
        self._undescribed: str | None = None

    def warm_start(self, store: slim.VariableStore) -> Callable[[], None] | None:
        """Returns the function that gives a fresh run its weights, if the options name a
        checkpoint."""
        options = self._resolved.config.finetune
        if options.checkpoint_path is None:
            return None

        def init_fn() -> None:
            checkpoint = sources.open_checkpoint(str(options.checkpoint_path))
            start = warm_start.WarmStart(options, self._resolved.model, checkpoint)
            self._started_from = f"Starting at step 0: {start(store)}"
            self._undescribed = checkpoint.prefix if checkpoint.info is None else None

        return init_fn

    def begin(self, run: learning.Run) -> None:
        """Says what was found."""
        resolved, info = self._resolved, self._resolved.model
        self.is_complete = run.is_over
        trained = sum(v.shape.num_elements() for v in run.train_op.variables_to_train.values())
        lines = [
            f"{len(self._devices)} clone(s) on {in_words(self._devices)}",
            (
                f"{self._dataset.name} {self._dataset.split_name}: {resolved.num_samples} images, "
                f"{info.num_classes} classes, {len(self._dataset.data_sources)} shard(s)"
            ),
            (
                f"{info.model_name} at {_size(info)}, "
                f"{info.preprocessing_name} preprocessing, {trained:,} trained parameters"
            ),
            *self._of_scopes(run),
            *self._of_rounding(),
            resolved.summary,
            *self._of_threads(),
            *self._of_workers(),
            *(f"changed since the last start: {change}" for change in self._changes),
            self._origin(run),
            *(f"warning: {warning}" for warning in self._warnings(run)),
        ]
        print("\n".join(lines), flush=True)

    def _of_threads(self) -> Iterator[str]:
        if self._resolved.config.data.num_preprocessing_threads is None:
            yield "preprocessing threads: auto (TF-Slim: 4)"

    def _of_workers(self) -> Iterator[str]:
        count = self._resolved.config.strategy.worker_replicas
        if count > 1:
            yield f"{count} workers train synchronously"

    def _of_scopes(self, run: learning.Run) -> Iterator[str]:
        config = self._resolved.config
        scopes = warm_start.trainable_scopes(config.finetune, self._resolved.model.model_name)
        if scopes:
            names = run.train_op.store.named_variables
            kept = not config.batch_norm.update_frozen_batch_norm and _averages(names)
            rest = "; batch norm outside keeps to its moving averages, which the original moves"
            yield f"trained alone: {_checks.listed(scopes, 5)}{rest if kept else ''}"

    def _of_rounding(self) -> Iterator[str]:
        if self._resolved.model.quantized:
            yield (
                "weights and outputs rounded to 8 bits, after"
                f" {self._resolved.quantize_delay} steps"
            )

    def _warnings(self, run: learning.Run) -> list[str]:
        if run.restored is not None:
            return []
        texts = [
            *warnings.of_training(self._resolved, self._undescribed),
            *self._of_batch_norm(run),
        ]
        return [problems.as_flags(text) for text in texts]

    def _of_batch_norm(self, run: learning.Run) -> Iterator[str]:
        config, name = self._resolved.config, self._resolved.model.model_name
        scopes = warm_start.trainable_scopes(config.finetune, name)
        frozen = batch_norm.frozen_rule(config.batch_norm, scopes)
        averages = _averages(run.train_op.store.named_variables)
        names = [each for each, value in vars(config.batch_norm).items() if value]
        given = Problem(", ".join(["{}"] * len(names)), *map(named, names))
        if given and not averages:
            yield Problem("{} has no effect: {} has no batch norm", given, name)
        elif config.batch_norm.update_frozen_batch_norm and not scopes:
            yield Problem(
                "{} has no effect without {}",
                named("update_frozen_batch_norm"),
                named("trainable_scopes"),
            )
        if any(not (frozen(scope) if callable(frozen) else frozen) for scope in averages):
            told = batch_norm.warning(config.batch_norm, name, run.number_of_steps)
            yield from [told] if told else []

    def _origin(self, run: learning.Run) -> str:
        if run.restored is None:
            return self._started_from
        prefix = run.restored.prefix
        age = datetime.timedelta(seconds=round(time.time() - os.path.getmtime(f"{prefix}.index")))
        origin = f"Resuming {self._directory.path} from step {run.step} ({prefix}, saved {age} ago)"
        ignored = self._resolved.config.finetune.checkpoint_path
        if ignored is None:
            return origin
        unused = Problem(
            "{} is not used by a resumed run ({} starts over)",
            named("checkpoint_path", ignored),
            named("restart"),
        )
        return f"{origin}; {unused.as_flags}"


def _averages(names: Iterable[str]) -> list[str]:
    """Returns the scopes of batch norm."""
    return [name.rpartition("/")[0] for name in names if name.endswith("/moving_mean")]


def in_words(devices: Sequence[str]) -> str:
    """Returns `GPU:0, GPU:1` for the full names of devices, and says if there are no GPUs."""
    specs = [tf.DeviceSpec.from_string(device) for device in devices]
    found = ", ".join(f"{spec.device_type}:{spec.device_index}" for spec in specs)
    if tf.config.list_physical_devices("GPU"):
        return found
    return f"{found} (TensorFlow {tf.__version__} sees no GPU)"


def _size(info: ModelInfo) -> str:
    height, width = info.image_size
    return f"{height}x{width}x{info.num_channels}"
