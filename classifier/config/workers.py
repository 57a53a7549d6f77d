"""Options of the processes that work on the same batches in parallel."""

import dataclasses
import functools
import re
from collections.abc import Iterator
from typing import Any

from classifier.config import bounds
from classifier.config.options import Options, option
from classifier.config.problems import Problem, named
from slim import _checks

ADDRESS = re.compile(r"(grpc://)?(?P<host>[^\s:/,]+|\[[0-9a-fA-F:]+\]):(?P<port>\d{1,5})$")


def num_clones_option(purpose: str) -> Any:
    """Declares the option `num_clones`, a number of devices with a purpose."""
    return option(1, f"Number of devices {purpose}. -1: all.", check=bounds.positive_or_all)


def clone_on_cpu_option(verb: str) -> Any:
    """Declares the option `clone_on_cpu` of a program that does what the verb says."""
    return option(False, f"{verb} on the CPU even if GPUs are available.")


def split_cpu_option() -> Any:
    """Declares the option `split_cpu`, which is the same wherever there are several clones."""
    return option(
        0,
        "Split the CPU into this many devices, to try several clones without GPUs. 0 disables.",
        check=bounds.non_negative,
        resume="free",
    )


def idle_clones(num_clones: int, batch_size: int) -> Iterator[Problem]:
    """Yields that a batch has no image for some of the clones."""
    if num_clones > batch_size:
        clones, size = named("num_clones", num_clones), named("batch_size", batch_size)
        yield Problem("{} must be at most {}: each clone needs an image", clones, size)


@dataclasses.dataclass(frozen=True, kw_only=True)
class WorkerOptions(Options):
    """Workers."""

    worker_replicas: int = option(
        1,
        "Number of worker processes, each started with its own --task, that work on parts of each"
        " batch.",
        check=bounds.positive,
    )
    task: int = option(
        0,
        "Index of this worker; worker 0 writes the files and the results. With parameter servers,"
        " index of this process in --master.",
        check=bounds.non_negative,
        resume="free",
    )
    master: tuple[str, ...] = option(
        (),
        "host:port of every worker, separated by commas, the same for all; with parameter servers:"
        " of coordinator, workers and servers, in this order. Default: see --cluster.",
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
        " of them later. Then all end with exit code 1.",
        check=bounds.positive,
        resume="free",
    )
    allow_public_bind: bool = option(
        False,
        "Allow several workers on a machine with a public address. TensorFlow's server listens"
        " on all interfaces and executes what anyone who reaches it asks for.",
        resume="free",
    )

    @property
    def servers(self) -> int:
        """Number of parameter servers."""
        return 0

    @property
    def processes(self) -> int:
        """Number of processes of the job; parameter servers have a coordinator."""
        return self.worker_replicas + (1 + self.servers if self.servers else 0)

    def conflicts(self) -> Iterator[Problem]:
        """Yields contradictions."""
        workers = named("worker_replicas", self.worker_replicas)
        if self.task >= self.processes:
            most = Problem("{}, the coordinator, {} and {}", self.processes, workers, self._servers)
            yield Problem(
                "{} must be below {}: tasks are numbered from 0",
                named("task", self.task),
                most if self.servers else workers,
            )
        if self.master and self.cluster not in ("auto", "none"):
            yield Problem(
                "{} and {} are mutually exclusive",
                named("master"),
                named("cluster", self.cluster),
            )
        yield from self._wrong_addresses(workers)

    @property
    def _servers(self) -> str:
        return named("num_ps_tasks", self.servers)

    def _wrong_addresses(self, workers: str) -> Iterator[Problem]:
        master = named("master")
        for address in self.master:
            match = ADDRESS.match(address)
            if not match or not 0 < int(match["port"]) < 65536:
                yield Problem("{}: {!r} is not host:port", master, address)
        if self.master and self.processes == 1:
            yield Problem(
                "{} needs several workers, and {}: a single process needs no server",
                master,
                workers,
            )
        elif self.master and self.servers and len(self.master) != self.processes:
            yield Problem(
                "{} has {} addresses, but needs {}: of the coordinator, of {}, and of {}, in this"
                " order. Pass the same list to all, and {} of the coordinator, the workers, the"
                " servers",
                master,
                len(self.master),
                self.processes,
                workers,
                self._servers,
                named("task", f"0 to {self.processes - 1}"),
            )
        elif self.master and len(self.master) != self.processes:
            yield Problem(
                "{} has {} addresses, but {}. Pass one address per worker",
                master,
                len(self.master),
                workers,
            )
