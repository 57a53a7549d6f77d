"""Training from resolved options to a run directory."""

import contextlib
import dataclasses
import functools
import gc
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence

import tensorflow as tf

import slim
from classifier import inputs, network, ownership
from classifier.checkpoints import mismatch
from classifier.cli import broken_pipe, disk_errors, path_checks
from classifier.cli.exit_codes import ExitCode
from classifier.cluster import coordinator, facts, server, watch
from classifier.config import problems
from classifier.config.failures import DEFAULT_NAN_RESTORES, FailureOptions
from classifier.config.problems import Problem, named
from classifier.config.training import TrainConfig
from classifier.resolve import cluster, published_model, resume
from classifier.resolve.training import (
    ResolvedRun,
    location_of_run,
    training_run,
    with_batch_size,
    with_learning_rate,
)
from classifier.run_directory import RunConfig, RunDirectory
from classifier.training import backup, distillation
from classifier.training.batch_size import find_batch_size
from classifier.training.batches import TrainingBatches, check_bad_images
from classifier.training.head_fit import HeadFit
from classifier.training.hooks.bad_images import BadImagesLog
from classifier.training.hooks.make import make_hooks
from classifier.training.hooks.run_files import RunFiles
from classifier.training.hooks.startup import StartupReport
from classifier.training.hooks.validation import StartingPoint, Validation
from classifier.training.rate_test import find_learning_rate
from classifier.training.step import devices_of, make_train_op, make_training_network
from deployment import bfloat16, servers
from deployment.strategies import Devices, split_cpu
from slim import _checks, learning, signals
from slim.data.dataset import Dataset


def run(config: TrainConfig) -> ExitCode | None:
    """Trains, or resumes the run in `train_dir`, until the last step or a signal.

    Args:
      config: options of `train_image_classifier.py`.

    Returns:
      PREEMPTED if a signal stopped it after saving a checkpoint, otherwise None.

    Raises:
      UserError: if an option or the data is invalid, or `train_dir` contains files that were not
        written by a run.
      RunError: if the run fails.
    """
    metrics = RunDirectory(config.run.train_dir).metrics_path
    warning = f"stdout was closed; training continues, metrics are in {metrics}"
    with disk_errors.translated(config.run.train_dir), broken_pipe.ignore(warning):
        config = with_devices(published_model.of_training(config))
        workers = cluster.resolve(config.strategy)
        config = cluster.with_workers(config, workers)
        if workers.servers and workers.task:
            return _serve(config, workers)
        resolved = training_run(config)
        check_bad_images(config, workers)
        check_automatic(resolved, workers)
        devices = devices_of(config, workers)
        if not workers.task:
            ownership.claim_run(config.run.train_dir)
        if not config.run.restart or workers.task:
            return _run(config, resolved, workers, devices)
        if config.finetune.checkpoint_path is not None:
            path_checks.check("checkpoint", "checkpoint_path", config.finetune.checkpoint_path)
        with backup.during(config):
            return _run(config, resolved, workers, devices)


def _serve(config: TrainConfig, workers: cluster.Cluster) -> ExitCode | None:
    """Runs a parameter server, or one of its workers, which need no files of the run."""
    try:
        devices = devices_of(config, workers)
        start = functools.partial(servers.start, devices, *workers.job(workers.task))
        server.serve(workers, config, start)
    except learning.Preempted as stopped:
        print(stopped, file=sys.stderr)
        return ExitCode.PREEMPTED
    return None


def with_devices(config: TrainConfig) -> TrainConfig:
    """Splits the CPU if the options say so, and returns them with the devices' number of clones
    and dtype."""
    options, network = config.strategy, config.network
    if options.split_cpu:
        split_cpu(options.split_cpu)
    devices = devices_of(config)
    options = dataclasses.replace(options, num_clones=devices.count())
    if network.compute_dtype == "auto":
        dtype = "bfloat16" if bfloat16.is_native(devices.on_gpu) else "float32"
        network = dataclasses.replace(network, compute_dtype=dtype)
    return dataclasses.replace(config, strategy=options, network=network)


def _run(
    options: TrainConfig,
    resolved: ResolvedRun,
    workers: cluster.Cluster,
    devices: Devices,
) -> ExitCode | None:
    resolved, changes = resumed(options, resolved)
    with_servers = coordinator.joined(workers, resolved) if workers.servers else None
    try:
        own_facts = functools.partial(facts.of_run, resolved)
        with with_servers or watch.joined(workers, options.strategy, own_facts):
            _train_together(options, resolved, workers, devices, changes)
    except learning.Preempted as stopped:
        print(stopped, file=sys.stderr)
        return ExitCode.PREEMPTED
    return None


def resumed(
    options: TrainConfig, resolved: ResolvedRun
) -> tuple[ResolvedRun, tuple[resume.Change, ...]]:
    """Returns a run as it resumes the one in its directory, and the options that have changed.

    Raises:
      UserError: if the run there cannot be resumed with the options.
    """
    directory = RunDirectory(options.run.train_dir)
    # Of several workers, the first may not have moved the old run yet.
    previous = None if options.run.restart else _previous(directory)
    if previous is None:
        return resolved, ()
    resolved = _as_before(options, resolved, previous)
    return resolved, _changes(directory, previous, resolved)


def _train_together(
    options: TrainConfig,
    resolved: ResolvedRun,
    workers: cluster.Cluster,
    devices: Devices,
    changes: tuple[resume.Change, ...],
) -> None:
    config = resolved.config
    directory = RunDirectory(config.run.train_dir)
    # With several workers, this must come before TensorFlow uses its devices.
    strategy = devices.strategy()
    signals.renew()
    tf.keras.utils.set_random_seed(config.run.seed)
    if config.step.deterministic:
        tf.config.experimental.enable_op_determinism()
    data = config.data
    dataset = inputs.open_dataset(
        location_of_run(config),
        data.dataset_split_name,
        data.max_pixels,
        resolved.model,
    )
    teacher = distillation.load(config.distillation, resolved.model)
    if config.data.is_batch_automatic:
        with _image_size_errors(resolved):
            resolved = with_batch_size(options, find_batch_size(resolved, strategy, teacher))
        config = resolved.config
        gc.collect()  # the memory of the trial
    batches = TrainingBatches(resolved, dataset, workers)
    head_fit = HeadFit(resolved, dataset) if config.finetune.is_automatic else None
    startup = StartupReport(
        resolved, directory, changes, dataset, devices.names(), head_fit, teacher
    )
    if resolved.schedule.is_automatic:
        with (
            _image_size_errors(resolved),
            inputs.translate_errors(dataset, lambda: batches.upcoming(0)),
        ):
            rate = find_learning_rate(resolved, strategy, batches, startup.warm_start, teacher)
        resolved = with_learning_rate(resolved, rate)
        config = resolved.config
        startup.resolved = resolved
    train_op = make_train_op(resolved, strategy, teacher)
    hooks = [startup, *_hooks(resolved, directory, batches, dataset, workers)]
    with (
        _explain_errors(resolved, directory, batches, workers),
        inputs.translate_errors(
            dataset, lambda: batches.upcoming(int(train_op.global_step.numpy()))
        ),
    ):
        of_step = batches.of_servers_worker if workers.servers else batches
        _train(resolved, of_step, train_op, hooks, startup.warm_start(train_op.store))
    if startup.is_complete:
        print(f"{directory.path} is already complete: {train_op.global_step.numpy()} steps")


@contextlib.contextmanager
def _explain_errors(
    resolved: ResolvedRun,
    directory: RunDirectory,
    batches: TrainingBatches,
    workers: cluster.Cluster,
) -> Iterator[None]:
    """Adds the batch of a non-finite loss, and what to change, to the errors of the loop."""
    try:
        yield
    except learning.NonFiniteError as error:
        if workers.servers:  # which batch it was is not known
            raise
        batch = batches.describe(error.batch)
        raise learning.NonFiniteError(f"{error}. {batch}", error.step) from None
    except slim.checkpoints.UnfitError as error:
        if error.report.prefix.startswith(os.path.join(directory.path, "model.ckpt-")):
            raise problems.OptionError(
                mismatch.for_resuming(error.report, directory.path)
            ) from None
        raise
    except tf.errors.ResourceExhaustedError as error:
        if disk_errors.number_of(error) is not None:
            raise
        raise _checks.RunError(_out_of_memory(resolved, error)) from error


def _hooks(
    resolved: ResolvedRun,
    directory: RunDirectory,
    batches: TrainingBatches,
    dataset: Dataset,
    workers: cluster.Cluster,
) -> list[learning.Hook]:
    config = resolved.config
    hooks = [] if workers.task else make_hooks(resolved, directory, batches)
    if batches.bad_images is not None:
        limit = config.bad_images.max_bad_fraction
        hooks.append(BadImagesLog(batches.bad_images, dataset, directory.path, limit))
    hooks.append(RunFiles(resolved, directory))
    if config.finetune.is_automatic and workers.task == 0:
        validation = next((hook for hook in hooks if isinstance(hook, Validation)), None)
        hooks.append(StartingPoint(validation))
    return hooks


def _train(
    resolved: ResolvedRun,
    batches: Callable[[int], tf.data.Dataset],
    train_op: slim.learning.TrainOp,
    hooks: Sequence[learning.Hook],
    init_fn: Callable[[], None] | None,
) -> None:
    config, saving = resolved.config, resolved.config.saving
    with _image_size_errors(resolved):
        learning.train(
            train_op,
            config.run.train_dir,
            batches,
            number_of_steps=resolved.number_of_steps,
            steps_per_loop=config.run.steps_per_loop,
            init_fn=init_fn,
            log_every_n_steps=0,  # `Progress` and `EventHook` log and write more
            save_summaries_secs=0,
            save_interval_secs=saving.save_interval_secs,
            save_interval_steps=resolved.save_every_steps,
            max_to_keep=saving.max_to_keep,
            keep_checkpoint_every_n_hours=saving.keep_checkpoint_every_n_hours or None,
            max_nan_restores=nan_restores(config.failures),
            hooks=hooks,
        )


def _image_size_errors(resolved: ResolvedRun) -> contextlib.AbstractContextManager[None]:
    info = resolved.model
    shape = [None, *info.image_size, info.num_channels]
    return network.check_image_size(info.model_name, make_training_network(resolved), shape)


def nan_restores(options: FailureOptions) -> int:
    """Returns the maximum number of rollbacks of a run."""
    if options.on_nan == "stop":
        return 0
    limit = options.max_nan_restores
    return DEFAULT_NAN_RESTORES if limit is None else limit


def check_automatic(resolved: ResolvedRun, workers: cluster.Cluster) -> None:
    """Checks that what is `auto` can be found: by this process, or in config.json.

    Raises:
      UserError: if it cannot.
    """
    config = resolved.config
    is_auto = {
        "batch_size": config.data.is_batch_automatic,
        "learning_rate": resolved.schedule.is_automatic,
    }
    name = next((name for name, value in is_auto.items() if value), None)
    if name is None:
        return
    auto, what = named(name, "auto"), name.replace("_", " ")
    if len(workers.hosts) > 1:
        raise problems.error("{} supports a single worker only. Set a {}", auto, what)
    directory = RunDirectory(config.run.train_dir)
    is_resumed = slim.checkpoints.latest(directory.path) is not None and not config.run.restart
    if is_resumed and directory.read_config() is None:
        raise problems.error("{} needs the config.json of the run to resume. Set a {}", auto, what)


def _previous(directory: RunDirectory) -> RunConfig | None:
    """Returns the options of the run to resume. A run without a checkpoint starts over."""
    old = directory.read_config()
    return old if slim.checkpoints.latest(directory.path) is not None else None


def _as_before(options: TrainConfig, resolved: ResolvedRun, previous: RunConfig) -> ResolvedRun:
    """Returns a resumed run with what it has chosen in place of auto."""
    if options.data.is_batch_automatic:
        resolved = with_batch_size(options, previous["options"]["batch_size"])
    if resolved.schedule.is_automatic:
        resolved = with_learning_rate(resolved, previous["options"]["learning_rate"])
    return resolved


def _changes(
    directory: RunDirectory, old: RunConfig, resolved: ResolvedRun
) -> tuple[resume.Change, ...]:
    """Returns the options that differ from those of the run in the directory.

    Raises:
      UserError: if the run cannot be resumed with them.
    """
    changes = resume.changed_options(old, resolved)
    resume.refuse_changes(changes, directory.path)
    return changes


def _out_of_memory(resolved: ResolvedRun, error: tf.errors.ResourceExhaustedError) -> str:
    """Returns a message with the batch and image size, and options that reduce memory."""
    config, info = resolved.config, resolved.model
    height, width = info.image_size
    batch_size = config.data.batch_size
    smaller, rest = divmod(batch_size, 2)
    advice = Problem(
        "a smaller {}, {}, or {}",
        *map(named, ("train_image_size", "recompute_gradients", "trainable_scopes")),
    )
    if smaller:
        advice = Problem("{}, {}", named("batch_size", smaller), advice)
    if not rest:
        parts = named("accumulate_steps", config.step.accumulate_steps * 2)
        smaller_batch = named("batch_size", smaller)
        advice = Problem("{} ({} {} keeps the same global batch)", advice, smaller_batch, parts)
    allocation = re.search(r"OOM when allocating tensor with shape\S*", str(error.message))
    where = f" ({allocation.group()})" if allocation else ""
    return (
        f"out of memory with {info.model_name} at batch_size={batch_size}, {height}x{width} images"
        f"{where}. Try {problems.as_flags(advice)}; the last checkpoint is intact"
    )
