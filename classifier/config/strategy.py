"""Options of the devices and processes that train in parallel."""

import dataclasses
from collections.abc import Iterator

from classifier.config import bounds
from classifier.config.options import option
from classifier.config.problems import Problem, named
from classifier.config.workers import (
    WorkerOptions,
    clone_on_cpu_option,
    num_clones_option,
    split_cpu_option,
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class StrategyOptions(WorkerOptions):
    """Devices and workers."""

    num_clones: int = num_clones_option(
        "of each worker to train on in parallel, each on its own batch"
    )
    clone_on_cpu: bool = clone_on_cpu_option("Train")
    split_cpu: int = split_cpu_option()
    all_reduce: str = option(
        "auto",
        "How clones add their gradients: nccl, hierarchical copies between GPUs, a ring, or on the"
        " CPU. Workers support nccl and ring. auto: nccl on GPUs.",
        choices=("auto", "nccl", "hierarchical", "ring", "cpu"),
    )
    all_reduce_dtype: str = option(
        "float32",
        "Type in which clones send gradients; half precision halves the bytes.",
        choices=("float32", "float16", "bfloat16"),
    )
    all_reduce_bucket_mb: float = option(
        0.0,
        "Size of the packs in which clones send gradients, in 10^6 bytes: the first are sent while"
        " others are computed. 0: one pack.",
        check=bounds.non_negative,
    )
    sync_replicas: bool = option(
        False,
        "Train synchronously; workers always do. Only affects --decay_per_clone, which then counts"
        " epochs in the batches of --replicas_to_aggregate workers.",
    )
    replicas_to_aggregate: int = option(
        1,
        "Number of workers whose gradients make one update; with --sync_replicas it must equal"
        " --worker_replicas.",
        check=bounds.positive,
    )
    num_ps_tasks: int = option(
        0,
        "Number of parameter servers, which hold the variables: training is asynchronous, and a"
        " worker may end and be started again. 0: each worker holds all variables.",
        check=bounds.non_negative,
    )

    @property
    def replicas(self) -> int:
        """Number of batches whose gradients make one update."""
        return 1 if self.num_ps_tasks else self.num_clones * self.worker_replicas

    def conflicts(self) -> Iterator[Problem]:
        """Yields what several workers do not support, or lack."""
        yield from super().conflicts()
        workers = named("worker_replicas", self.worker_replicas)
        reduce = named("all_reduce", self.all_reduce)
        if self.worker_replicas > 1 and self.all_reduce in ("hierarchical", "cpu"):
            yield Problem("{} cannot be used with {}. Use nccl or ring", reduce, workers)
        collective = self.worker_replicas > 1 or self.all_reduce in ("nccl", "ring")
        if self.all_reduce_bucket_mb and not collective:
            yield Problem(
                "{} needs several workers, or {} with nccl or ring",
                named("all_reduce_bucket_mb"),
                named("all_reduce"),
            )

    @property
    def servers(self) -> int:
        """Number of parameter servers."""
        return self.num_ps_tasks
