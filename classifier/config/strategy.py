"""Options of the devices and processes that train in parallel."""

import dataclasses
import functools
import re
from collections.abc import Iterator

from classifier.config import bounds
from classifier.config.options import Options, option
from classifier.config.problems import Problem, named
from slim import _checks

ADDRESS = re.compile(r"(grpc://)?(?P<host>[^\s:/,]+|\[[0-9a-fA-F:]+\]):(?P<port>\d{1,5})$")


@dataclasses.dataclass(frozen=True, kw_only=True)
class StrategyOptions(Options):
    """Devices and workers."""

    num_clones: int = option(
        1,
        "Number of devices of each worker to train on in parallel, each on its own batch. -1: all.",
        check=bounds.positive_or_all,
    )
    clone_on_cpu: bool = option(False, "Train on the CPU even if GPUs are available.")
    split_cpu: int = option(
        0,
        "Split the CPU into this many devices, to try several clones without GPUs. 0 disables.",
        check=bounds.non_negative,
        resume="free",
    )
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
    worker_replicas: int = option(
        1,
        "Number of worker processes, each started with its own --task. Training is synchronous.",
        check=bounds.positive,
    )
    task: int = option(
        0,
        "Index of this worker; worker 0 writes checkpoints and logs.",
        check=bounds.non_negative,
        resume="free",
    )
    master: tuple[str, ...] = option(
        (),
        "host:port of every worker, separated by commas, the same for all. Default: see --cluster.",
        resume="free",
    )
    cluster: str = option(
        "auto",
        "Where the workers' addresses and --task come from: TF_CONFIG, a Slurm job step of several"
        " tasks, or the pods of a Kubernetes Indexed Job or JobSet with SLIM_SERVICE set. auto uses"
        " the first that describes several workers; none trains without the others.",
        choices=("auto", "none", "tf_config", "slurm", "kubernetes"),
        resume="free",
    )
    cluster_port: int | None = option(
        None,
        "Port of the first worker of each machine, with --cluster=slurm or kubernetes; the others"
        " use the next ports. Default: 2222 in Kubernetes; in Slurm a reserved port, else one that"
        " depends on the job.",
        check=functools.partial(_checks.in_range, 1, 65535),
        resume="free",
    )
    worker_timeout_secs: float = option(
        600.0,
        "Maximum seconds to wait for the other workers to start, and for a sign of life from each"
        " of them while training. Then all end with exit code 1.",
        check=bounds.positive,
        resume="free",
    )
    allow_public_bind: bool = option(
        False,
        "Train with several workers on a machine with a public address. TensorFlow's server listens"
        " on all interfaces and executes what anyone who reaches it asks for.",
        resume="free",
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
        0, "Must be 0: parameter servers are not supported.", check=bounds.non_negative
    )

    def conflicts(self) -> Iterator[Problem]:
        """Yields what several workers do not support, or lack."""
        workers = named("worker_replicas", self.worker_replicas)
        if self.task >= self.worker_replicas:
            yield Problem(
                "{} must be below {}: tasks are numbered from 0", named("task", self.task), workers
            )
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
        if self.master and self.cluster not in ("auto", "none"):
            yield Problem(
                "{} and {} are mutually exclusive",
                named("master"),
                named("cluster", self.cluster),
            )
        yield from self._wrong_addresses(workers)

    def _wrong_addresses(self, workers: str) -> Iterator[Problem]:
        master = named("master")
        for address in self.master:
            match = ADDRESS.match(address)
            if not match or not 0 < int(match["port"]) < 65536:
                yield Problem("{}: {!r} is not host:port", master, address)
        if self.master and self.worker_replicas == 1:
            yield Problem(
                "{} needs several workers, and {}: a single process needs no server",
                master,
                workers,
            )
        elif self.master and len(self.master) != self.worker_replicas:
            yield Problem(
                "{} has {} addresses, but {}. Pass one address per worker",
                master,
                len(self.master),
                workers,
            )
