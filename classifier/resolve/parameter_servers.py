"""What parameter servers do not support."""

from collections.abc import Iterator

from classifier.config import problems
from classifier.config.problems import Problem, named
from classifier.config.schedule import AUTO_RATE
from classifier.config.training import TrainConfig
from datasets.splits import SplitMetadata

_SYNCHRONOUS = "workers do not wait for each other. Leave one of them out"
_REMOTE = "each worker reads its images by itself"
_ONE_STREAM = "which worker reads an image is not known before"


def check(config: TrainConfig) -> None:
    """Checks the options of a run whose number of parameter servers is known.

    Raises:
      UserError: with a line for each option that needs synchronous workers, or a single process.
    """
    count = config.strategy.num_ps_tasks
    if not count:
        return
    servers = named("num_ps_tasks", count)
    lines = [
        Problem("{} cannot be used with {}: {}", option, servers, reason)
        for option, is_set, reason in _unsupported(config)
        if is_set
    ]
    steps, workers = config.run.steps_per_loop, config.strategy.worker_replicas
    if steps < workers:
        lines.append(
            Problem(
                "{} leaves workers idle: only the steps of a loop run at the same time. With {} and"
                " {}, use {} or more",
                named("steps_per_loop", steps),
                servers,
                named("worker_replicas", workers),
                named("steps_per_loop", 10 * workers),
            )
        )
    if lines:
        raise problems.OptionError(*lines)


def check_data(config: TrainConfig, metadata: SplitMetadata) -> None:
    """Checks that a worker on another machine can read the images.

    Raises:
      UserError: if they are read in place, by the Python code of this process.
    """
    if config.strategy.num_ps_tasks and metadata.items:
        raise problems.error(
            "{} needs TFRecords, but the images of {!r} are read in place, by this process. Convert"
            " them first",
            named("num_ps_tasks", config.strategy.num_ps_tasks),
            metadata.name,
        )


def _unsupported(config: TrainConfig) -> Iterator[tuple[str, bool, str]]:
    """Yields each option with its value, whether it is set, and why it is not supported."""
    strategy, data, step = config.strategy, config.data, config.step
    aggregate = named("replicas_to_aggregate", strategy.replicas_to_aggregate)
    yield named("sync_replicas"), strategy.sync_replicas, _SYNCHRONOUS
    yield aggregate, strategy.replicas_to_aggregate > 1, _SYNCHRONOUS
    yield named("sync_batch_norm"), config.batch_norm.sync_batch_norm, _SYNCHRONOUS
    for name in ("all_reduce", "all_reduce_dtype", "all_reduce_bucket_mb"):
        value = getattr(strategy, name)
        yield named(name, value), strategy.is_changed(name), "no gradients are added"
    clones = "start a worker for each device instead"
    yield named("num_clones", strategy.num_clones), strategy.num_clones != 1, clones
    yield named("split_cpu", strategy.split_cpu), strategy.split_cpu > 0, clones
    yield named("deterministic"), step.deterministic, "the order of the updates is not fixed"
    yield named("jit_compile", "true"), step.jit_compile == "true", "variables are elsewhere"
    yield named("on_nan", "restore"), config.failures.on_nan == "restore", _ONE_STREAM
    yield named("on_bad_image", "skip"), config.bad_images.is_skipping, _REMOTE
    yield named("data_service"), data.data_service is not None, _REMOTE
    yield named("cache", data.cache), data.is_changed("cache"), _REMOTE
    yield named("balanced_sampling"), data.balanced_sampling, "it needs the coordinator's Python"
    yield named("batch_size", "auto"), data.is_batch_automatic, "it is tried in this process"
    automatic = config.schedule.learning_rate == AUTO_RATE
    yield named("learning_rate", "auto"), automatic, "it is tried in this process"
    yield (
        named("finetune", "auto"),
        config.finetune.is_automatic,
        "it fits the head in this process",
    )
    teacher = named("teacher_checkpoint_path")
    is_taught = config.distillation.teacher_checkpoint_path is not None
    yield teacher, is_taught, "the teacher would be in this process"
