"""Options of the devices and the processes that train side by side."""

import dataclasses
import re
from collections.abc import Iterator

from classifier.config import bounds
from classifier.config.options import Options, option

_ADDRESS = re.compile(r"(grpc://)?(?P<host>[^\s:/,]+|\[[0-9a-fA-F:]+\]):(?P<port>\d{1,5})$")


@dataclasses.dataclass(frozen=True, kw_only=True)
class StrategyOptions(Options):
    """Devices and workers."""

    num_clones: int = option(
        1, "Devices that train side by side, each on a batch of its own.", check=bounds.positive
    )
    clone_on_cpu: bool = option(False, "Train on the CPU though there are GPUs.")
    worker_replicas: int = option(
        1,
        "Processes that train side by side, each started with its own task; always in step.",
        check=bounds.positive,
    )
    task: int = option(
        0, "Number of this process among them; 0 writes.", check=bounds.non_negative, resume="free"
    )
    master: tuple[str, ...] = option(
        (),
        "host:port of every worker, separated by commas, the same for all; without it, TF_CONFIG"
        " says them.",
        resume="free",
    )
    sync_replicas: bool = option(
        False,
        "Workers take each step together: they do so anyway; with decay_per_clone, epochs count the"
        " batches of replicas_to_aggregate workers.",
    )
    replicas_to_aggregate: int = option(
        1,
        "With sync_replicas: workers whose gradients make a step; it has to be all.",
        check=bounds.positive,
    )
    num_ps_tasks: int = option(
        0, "Refused but for 0: every worker keeps the variables.", check=bounds.non_negative
    )

    def conflicts(self) -> Iterator[str]:
        """Yields what several workers cannot do, or lack."""
        workers = self.worker_replicas
        if self.task >= workers:
            yield f"task={self.task} is not below worker_replicas={workers}: tasks count from 0"
        if workers > 1 and self.num_clones > 1:
            yield (
                f"num_clones={self.num_clones} cannot be used with worker_replicas={workers}: give"
                " each device a worker of its own"
            )
        yield from self._wrong_addresses()

    def _wrong_addresses(self) -> Iterator[str]:
        for address in self.master:
            found = _ADDRESS.match(address)
            if not found or not 0 < int(found["port"]) < 65536:
                yield f"master: {address!r} is not host:port"
        if self.master and self.worker_replicas == 1:
            yield (
                "master is for several workers, and worker_replicas=1: this program trains in its"
                " own process and needs no server"
            )
        elif self.master and len(self.master) != self.worker_replicas:
            yield (
                f"master has {len(self.master)} addresses for worker_replicas="
                f"{self.worker_replicas}: give one of each worker"
            )
