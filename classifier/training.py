"""Training runs: from options to a run directory."""

import functools
import re
import sys
from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

import slim
from classifier import (
    batch_norm,
    cluster,
    facts,
    images,
    inputs,
    model,
    optimizers,
    resolve,
    resuming,
    schedules,
    warm_start,
)
from classifier.config.incidents import IncidentOptions
from classifier.config.training import TrainConfig
from classifier.exit_codes import ExitCode
from classifier.hooks.bad_images import BadImagesLog
from classifier.hooks.contact_sheet import ContactSheet
from classifier.hooks.events import EventHook
from classifier.hooks.opening import Opening
from classifier.hooks.progress import MetricsFile, Progress
from classifier.hooks.validation import Validation
from classifier.hooks.watchdog import Watchdog
from classifier.run_directory import RunDirectory
from deployment.model_deploy import DeploymentConfig
from slim import _checks, learning
from slim.data.dataset import Dataset
from slim.loss_scale import DynamicLossScale

_ALONE = cluster.Cluster()


def run(config: TrainConfig) -> ExitCode | None:
    """Trains, or goes on with the run in `train_dir`, until the last step or a signal.

    Args:
      config: the options of `train_image_classifier.py`.

    Returns:
      PREEMPTED if a signal stopped it after saving; else None.

    Raises:
      UserError: if an option, the data or the folder is not as it has to be.
      RunError: if the run fails.
    """
    resolved = facts.training_run(config)
    directory = RunDirectory(config.run.train_dir)
    changes = _changes(directory, resolved)
    workers = cluster.resolve(config.strategy)
    if config.bad_images.is_skipping and config.data.data_service is not None:
        raise _checks.UserError(
            "on_bad_image=skip needs the batches to be made here, without data_service"
        )
    if config.bad_images.is_skipping and len(workers.hosts) > 1:
        raise _checks.UserError("on_bad_image=skip is for one worker: none sees the others' images")
    deployment = _deployment(config, workers)
    if workers.hosts:
        print(f"worker {workers.task} of {', '.join(workers.hosts)}: waiting for all", flush=True)
    # Before anything else that TensorFlow does, as several workers want it.
    strategy = deployment.strategy()
    tf.keras.utils.set_random_seed(config.run.seed)
    if config.step.deterministic:
        tf.config.experimental.enable_op_determinism()
    data = config.data
    dataset = facts.open_dataset(data.dataset_name, data.dataset_split_name, data.dataset_dir)
    train_op = make_train_op(resolved, strategy)
    opening = Opening(resolved, directory, changes, dataset, deployment.devices())
    hooks = [opening, *(_recorders(resolved, directory, dataset) if workers.task == 0 else [])]
    bad_images = inputs.BadImages() if config.bad_images.is_skipping else None
    if bad_images is not None:
        limit = config.bad_images.max_bad_fraction
        hooks.append(BadImagesLog(bad_images, dataset, directory.path, limit))

    cache = inputs.Cache(dataset, data.cache)

    def batches(first_step: int) -> tf.data.Dataset:
        return make_batches(resolved, dataset, first_step, workers, bad_images, cache)

    try:
        with inputs.translate_errors(dataset, lambda: _upcoming(resolved, dataset, train_op)):
            init_fn = opening.warm_start(train_op.store)
            _train(resolved, batches, train_op, hooks, init_fn)
    except learning.Preempted as stopped:
        print(stopped, file=sys.stderr)
        return ExitCode.PREEMPTED
    except learning.NonFiniteError as error:
        where = _batch_in_words(resolved, dataset, error.batch)
        raise learning.NonFiniteError(f"{error}. {where}", error.step) from None
    except tf.errors.ResourceExhaustedError as error:
        raise _checks.RunError(_out_of_memory(resolved, error)) from error
    if opening.is_complete:
        print(f"{directory.path} is already complete: {resolved.number_of_steps} steps")
    return None


def make_train_op(
    resolved: resolve.ResolvedRun, strategy: tf.distribute.Strategy
) -> slim.learning.TrainOp:
    """Returns the training step of a run; its variables are made by the first batch."""
    config = resolved.config
    name, dtype = resolved.model.model_name, config.network.compute_dtype
    scopes = warm_start.trainable_scopes(config.finetune, name)
    loss_fn = model.training_loss(
        resolved.model,
        config.loss.weight_decay,
        config.loss.label_smoothing,
        dtype,
        frozen_batch_norm=batch_norm.frozen_rule(config.batch_norm, scopes),
        batch_norm_decay=config.batch_norm.batch_norm_decay,
        class_weights=resolved.class_weights,
    )
    rate = schedules.make_schedule(config.schedule, resolved.schedule_steps)

    def choose(names: Sequence[str]) -> Sequence[str]:
        return warm_start.variables_to_train(config.finetune, name, names)

    return learning.create_train_op(
        loss_fn,
        optimizers.make_optimizer(config.optimizer, rate, resolved.model.model_name),
        store=slim.VariableStore(seed=config.run.seed, keep_float32=True),
        strategy=strategy,
        variables_to_train=choose,
        clip_gradient_norm=config.optimizer.clip_gradient_norm,
        moving_average_decay=config.optimizer.moving_average_decay,
        loss_scale=DynamicLossScale() if dtype == "float16" else None,
        seed=config.run.seed,
        learning_rate_multipliers=functools.partial(
            _multipliers, config.schedule.learning_rate_multipliers
        ),
        accumulate_steps=config.step.accumulate_steps,
        jit_compile=_is_compiled(config),
        recompute_gradients=config.step.recompute_gradients,
    )


def _multipliers(items: Sequence[str], names: Sequence[str]) -> dict[str, float]:
    """Returns the factor of each variable's learning rate, the longest scope's that it lies in."""
    factors: dict[str, float] = {}
    for item in sorted(items, key=lambda item: len(item.rpartition(":")[0])):
        scope, _, factor = item.rpartition(":")
        inside = warm_start.in_scopes(names, [scope], "learning_rate_multipliers")
        factors |= dict.fromkeys(inside, float(factor))
    return factors


def _deployment(config: TrainConfig, workers: cluster.Cluster = _ALONE) -> DeploymentConfig:
    return DeploymentConfig(
        num_clones=config.strategy.num_clones,
        clone_on_cpu=config.strategy.clone_on_cpu,
        replica_id=workers.task,
        num_ps_tasks=config.strategy.num_ps_tasks,
        worker_hosts=workers.hosts,
    )


def _is_compiled(config: TrainConfig) -> bool:
    on_gpu = "GPU" in _deployment(config).devices()[0]
    return {"auto": on_gpu, "true": True, "false": False}[config.step.jit_compile]


def make_batches(
    resolved: resolve.ResolvedRun,
    dataset: Dataset,
    first_step: int,
    workers: cluster.Cluster = _ALONE,
    bad_images: inputs.BadImages | None = None,
    cache: inputs.Cache | None = None,
) -> tf.data.Dataset:
    """Returns the batches of a run from a step on, for all clones together; of several workers,
    one's part of them. Where bad images are left out, `bad_images` remembers which."""
    if resolved.config.bad_images.is_skipping and bad_images is None:
        bad_images = inputs.BadImages()
    config, info = resolved.config, resolved.model
    switches = resolve.preprocessing_switches(config)
    return inputs.training_dataset(
        dataset,
        preprocessing_fn=images.preprocessing_fn(
            info, is_training=True, distort=images.augmentation_fn(config.augmentation), **switches
        ),
        image_size=info.image_size,
        batch_size=resolved.global_batch_size,
        seed=config.run.seed,
        start_index=first_step * resolved.global_batch_size,
        labels_offset=info.labels_offset,
        num_classes=info.num_classes,
        num_readers=config.data.num_readers,
        num_preprocessing_threads=config.data.num_preprocessing_threads,
        shuffle_buffer_mb=config.data.shuffle_buffer_mb,
        balanced=config.data.balanced_sampling,
        mixing=_mixing(config),
        skipped=bad_images,
        cache=cache,
        data_service=config.data.data_service,
        worker=(workers.task, max(1, len(workers.hosts))),
    )


def _mixing(config: TrainConfig) -> inputs.Mixing | None:
    options = config.augmentation
    if not options.mixup_alpha and not options.cutmix_alpha:
        return None
    return inputs.Mixing(
        seed=config.run.seed,
        clones=config.strategy.num_clones,
        mixup_alpha=options.mixup_alpha,
        cutmix_alpha=options.cutmix_alpha,
    )


def _train(
    resolved: resolve.ResolvedRun,
    batches: Callable[[int], tf.data.Dataset],
    train_op: slim.learning.TrainOp,
    hooks: Sequence[learning.Hook],
    init_fn: Callable[[], None] | None,
) -> None:
    config, saving = resolved.config, resolved.config.saving
    learning.train(
        train_op,
        config.run.train_dir,
        batches,
        number_of_steps=resolved.number_of_steps,
        steps_per_loop=config.run.steps_per_loop,
        init_fn=init_fn,
        save_interval_secs=saving.save_interval_secs,
        save_interval_steps=saving.save_interval_steps,
        max_to_keep=saving.max_to_keep,
        keep_checkpoint_every_n_hours=saving.keep_checkpoint_every_n_hours or None,
        max_nan_restores=nan_restores(config.incidents),
        hooks=hooks,
    )


def nan_restores(options: IncidentOptions) -> int:
    """Returns how often a run may go back to its last checkpoint."""
    if options.on_nan == "stop":
        return 0
    return 3 if options.max_nan_restores is None else options.max_nan_restores


def _changes(directory: RunDirectory, resolved: resolve.ResolvedRun) -> tuple[resuming.Change, ...]:
    """Returns what the command changes of the run in the directory, after refusing what it may
    not."""
    old = directory.read_config()
    if old is None:
        return ()
    changes = resuming.changed_options(old, resolved)
    resuming.refuse_changes(changes, directory.path)
    return changes


def _recorders(
    resolved: resolve.ResolvedRun, directory: RunDirectory, dataset: Dataset
) -> list[learning.Hook]:
    saving = resolved.config.saving
    metrics = MetricsFile(directory.metrics_path)
    hooks: list[learning.Hook] = [Progress(resolved, saving.log_every_n_steps, metrics)]
    if resolved.config.incidents.watchdog_minutes:
        hooks.append(Watchdog(resolved.config.incidents.watchdog_minutes))
    if saving.save_summaries_secs:
        hooks.append(EventHook(directory.path, saving.save_summaries_secs))
    if resolved.eval_every_steps:
        data, split = resolved.config.data, resolved.config.validation.eval_split_name
        evaluated = facts.open_dataset(data.dataset_name, split, data.dataset_dir)
        hooks.append(Validation(resolved, evaluated, metrics))
    if saving.summarize_images:

        def batch_at(step: int) -> dict[str, np.ndarray]:
            batch = next(iter(make_batches(resolved, dataset, step)))
            return {name: part.numpy() for name, part in batch.items()}

        names = resolved.model.label_names or ()
        hooks.append(ContactSheet(directory.path, batch_at, names, saving.save_summaries_secs))
    return hooks


def _upcoming(
    resolved: resolve.ResolvedRun, dataset: Dataset, train_op: slim.learning.TrainOp
) -> tf.data.Dataset:
    """Returns the encoded records that the run was about to read, to find a bad one among them."""
    done = int(train_op.global_step.numpy())
    skipped = learning.NanRestores(resolved.config.run.train_dir, 0).skipped(done)
    return inputs.training_records(
        dataset,
        seed=resolved.config.run.seed,
        start_index=(done + skipped) * resolved.global_batch_size,
        num_readers=resolved.config.data.num_readers,
        shuffle_buffer_mb=resolved.config.data.shuffle_buffer_mb,
        balanced=resolved.config.data.balanced_sampling,
    )


def _batch_in_words(resolved: resolve.ResolvedRun, dataset: Dataset, number: int) -> str:
    """Returns which examples a batch held, and the range of its images."""
    batch = next(iter(make_batches(resolved, dataset, number)))
    names = [
        f"{dataset.shard_names[shard]} record {record}"
        for shard, record in zip(
            batch["shard"].numpy()[:4], batch["record"].numpy()[:4], strict=True
        )
    ]
    low, high = (float(f(batch["image"])) for f in (tf.reduce_min, tf.reduce_max))
    return f"The batch began with {', '.join(names)}; its images range from {low:.4g} to {high:.4g}"


def _out_of_memory(resolved: resolve.ResolvedRun, error: tf.errors.ResourceExhaustedError) -> str:
    """Returns what did not fit and what to try, in a line."""
    config, info = resolved.config, resolved.model
    height, width = info.image_size
    smaller = max(1, config.data.batch_size // 2)
    parts = config.step.accumulate_steps * 2
    tried = re.search(r"OOM when allocating tensor with shape\S*", str(error.message))
    return (
        f"out of memory with {info.model_name} at batch_size={config.data.batch_size}, "
        f"{height}x{width} images"
        f"{f' ({tried.group()})' if tried else ''}. Try --batch_size={smaller}, a smaller "
        "--train_image_size, --recompute_gradients, or --trainable_scopes"
        f" (--batch_size={smaller} --accumulate_steps={parts} goes on with the same global batch); "
        "the last checkpoint is as it was"
    )
