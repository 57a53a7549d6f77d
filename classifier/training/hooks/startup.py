"""Startup report of a run: its settings, its starting point and warnings."""

import datetime
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence

import tensorflow as tf

import slim
from classifier.checkpoints import sources
from classifier.config import problems
from classifier.config.problems import Problem, named
from classifier.resolve import finetune_plan, published_model, warnings
from classifier.resolve.resume import Change
from classifier.resolve.training import ResolvedRun
from classifier.run_directory import RunDirectory
from classifier.training import batch_norm, warm_start
from classifier.training.distillation import Teacher
from slim import _checks, learning
from slim.data.dataset import Dataset


class StartupReport(learning.Hook):
    """Logs the settings and the starting point of a run.

    Attributes:
      is_complete: whether the run had reached its last step before it started.
      resolved: the run.
    """

    def __init__(
        self,
        resolved: ResolvedRun,
        directory: RunDirectory,
        changes: Sequence[Change],
        dataset: Dataset,
        devices: Sequence[str],
        head_fit: Callable[[slim.VariableStore], str] | None = None,
        teacher: Teacher | None = None,
    ) -> None:
        self.is_complete = False
        self.resolved = resolved
        self._directory = directory
        self._changes = changes
        self._dataset = dataset
        self._devices = devices
        self._head_fit = head_fit
        self._teacher = teacher
        self._origin = "Starting at step 0 from scratch"
        self._undescribed: str | None = None

    def warm_start(self, store: slim.VariableStore) -> Callable[[], None] | None:
        """Returns the function that initializes a new run from the options' checkpoint, if any."""
        options = self.resolved.config.finetune
        if options.checkpoint_path is None:
            return None

        def init_fn() -> None:
            if line := published_model.in_words(options.checkpoint_path):
                print(line, flush=True)
            checkpoint = sources.open_checkpoint(str(options.checkpoint_path))
            start = warm_start.WarmStart(options, self.resolved.model, checkpoint)
            self._origin = f"Starting at step 0: {start(store)}"
            if self._head_fit is not None:
                self._origin += f"\n{self._head_fit(store)}"
            self._undescribed = checkpoint.prefix if checkpoint.info is None else None

        return init_fn

    def begin(self, run: learning.Run) -> None:
        """Logs the report."""
        self.is_complete = run.is_over
        lines = [
            f"devices: {describe_devices(self._devices)}",
            *self._data_and_network(run),
            *self._trainable_scopes(run),
            *self._options(),
            *(f"changed since the last start: {change}" for change in self._changes),
            *self._same_batches(),
            self._starting_point(run),
            *(f"warning: {warning}" for warning in self._warnings(run)),
        ]
        print("\n".join(lines), flush=True)

    def _data_and_network(self, run: learning.Run) -> Iterator[str]:
        in_place = self._dataset.record_source is not None
        resolved, info, dataset = self.resolved, self.resolved.model, self._dataset
        trained = sum(v.shape.num_elements() for v in run.train_op.variables_to_train.values())
        height, width = info.image_size
        yield (
            f"dataset: {dataset.name} {dataset.split_name}, {resolved.num_samples} images, "
            f"{info.num_classes} classes, "
            + ("read in place" if in_place else f"{len(dataset.data_sources)} shard(s)")
        )
        yield (
            f"network: {info.model_name} at {height}x{width}x{info.num_channels} in"
            f" {self.resolved.config.network.compute_dtype}, {info.preprocessing_name}"
            f" preprocessing, {trained:,} trainable parameters"
        )

    def _trainable_scopes(self, run: learning.Run) -> Iterator[str]:
        config = self.resolved.config
        scopes = warm_start.trainable_scopes(config.finetune, self.resolved.model.model_name)
        if scopes:
            names = run.train_op.store.named_variables
            frozen = not config.batch_norm.update_frozen_batch_norm and _batch_norm_scopes(names)
            note = "; batch norm elsewhere is frozen (TF-Slim updated it)" if frozen else ""
            yield f"training only {_checks.listed(scopes, 5)}{note}"

    def _options(self) -> Iterator[str]:
        resolved = self.resolved
        if resolved.model.quantized:
            yield (
                "quantization: weights and outputs rounded to 8 bits after"
                f" {resolved.quantize_delay} steps"
            )
        yield f"schedule: {resolved.summary}"
        if resolved.finetune_plan:
            yield f"finetune=auto: {finetune_plan.in_words(resolved.finetune_plan)}"
        if self._teacher is not None:
            yield self._teacher.words
        if resolved.config.data.num_preprocessing_threads is None:
            yield "preprocessing threads: auto (TF-Slim: 4)"
        strategy = resolved.config.strategy
        count = strategy.worker_replicas
        if strategy.num_ps_tasks:
            yield f"workers: {count}, asynchronous; parameter servers: {strategy.num_ps_tasks}"
        elif count > 1:
            yield f"workers: {count}, synchronous"

    def _same_batches(self) -> Iterator[str]:
        changed = {change.name for change in self._changes}
        if changed & {"batch_size", "num_clones", "worker_replicas", "accumulate_steps"}:
            yield (
                f"the global batch is still {self.resolved.global_batch_size}: the run continues"
                " with the same examples in the same batches"
            )

    def _warnings(self, run: learning.Run) -> list[str]:
        if run.restored is not None:
            return []
        dataset = self._dataset
        texts = [
            *warnings.of_records(
                dataset.name, dataset.split_name, dataset.num_samples, dataset.usual_samples
            ),
            *warnings.of_training(self.resolved, self._undescribed),
            *self._batch_norm_warnings(run),
        ]
        return [problems.as_flags(text) for text in texts]

    def _batch_norm_warnings(self, run: learning.Run) -> Iterator[str]:
        config, name = self.resolved.config, self.resolved.model.model_name
        scopes = warm_start.trainable_scopes(config.finetune, name)
        frozen = batch_norm.frozen_rule(config.batch_norm, scopes)
        layers = _batch_norm_scopes(run.train_op.store.named_variables)
        names = [option for option, value in vars(config.batch_norm).items() if value]
        options = Problem(", ".join(["{}"] * len(names)), *map(named, names))
        if options and not layers:
            yield Problem("{} has no effect: {} has no batch norm", options, name)
        elif config.batch_norm.update_frozen_batch_norm and not scopes:
            yield Problem(
                "{} has no effect without {}",
                named("update_frozen_batch_norm"),
                named("trainable_scopes"),
            )
        if any(not (frozen(layer) if callable(frozen) else frozen) for layer in layers):
            too_short = batch_norm.warning(config.batch_norm, name, run.number_of_steps)
            yield from [too_short] if too_short else []

    def _starting_point(self, run: learning.Run) -> str:
        if run.restored is None:
            return self._origin
        prefix = run.restored.prefix
        age = datetime.timedelta(seconds=round(time.time() - os.path.getmtime(f"{prefix}.index")))
        origin = f"Resuming {self._directory.path} from step {run.step} ({prefix}, saved {age} ago)"
        ignored = self.resolved.config.finetune.checkpoint_path
        if ignored is None:
            return origin
        unused = Problem(
            "{} is ignored by a resumed run (to start over, pass {})",
            named("checkpoint_path", ignored),
            named("restart"),
        )
        return f"{origin}; {unused.as_flags}"


def _batch_norm_scopes(names: Iterable[str]) -> list[str]:
    return [name.rpartition("/")[0] for name in names if name.endswith("/moving_mean")]


def describe_devices(devices: Sequence[str]) -> str:
    """Returns `GPU:0, GPU:1` for the full names of devices, with a note if there is no GPU."""
    specs = [tf.DeviceSpec.from_string(device) for device in devices]
    names = ", ".join(f"{spec.device_type}:{spec.device_index}" for spec in specs)
    if tf.config.list_physical_devices("GPU"):
        return names
    return f"{names} (no GPU visible to TensorFlow {tf.__version__})"
