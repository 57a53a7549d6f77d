"""Workers that train in parallel: their addresses, from the options or the environment."""

import dataclasses
import os
from collections.abc import Callable, Mapping
from typing import NamedTuple

from classifier.config import problems
from classifier.config.problems import named
from classifier.config.strategy import StrategyOptions
from classifier.config.training import TrainConfig
from classifier.config.workers import ADDRESS, WorkerOptions
from classifier.resolve import kubernetes, parameter_servers, slurm, tf_config
from slim import _json


class Cluster(NamedTuple):
    """Addresses of the workers (empty for a single process) and the index of this one.

    With parameter servers, the first is the coordinator, and the servers are the last.

    Attributes:
      hosts: host:port of each process.
      task: index of this process.
      source: where they are from, such as "Slurm"; empty for the options.
      servers: number of parameter servers.
    """

    hosts: tuple[str, ...] = ()
    task: int = 0
    source: str = ""
    servers: int = 0

    @property
    def workers(self) -> tuple[str, ...]:
        """Addresses of the processes that compute gradients."""
        return self.hosts[1 : -self.servers] if self.servers else self.hosts

    @property
    def own_name(self) -> str:
        """The name of this process in messages."""
        return f"{'task' if self.servers else 'worker'} {self.task}"

    def job(self, task: int) -> tuple[str, int]:
        """Returns TensorFlow's name of a process's job, and its index there."""
        first_server = len(self.hosts) - self.servers
        if not self.servers:
            return "worker", task
        if not task:
            return "chief", 0
        return ("worker", task - 1) if task < first_server else ("ps", task - first_server)


ALONE = Cluster()

# Value of --cluster -> a function that returns hosts, task and, if it knows it, the number of
# parameter servers, or None if the environment describes no workers; its name in messages; and what
# is missing if it returns None.
_Addresses = tuple[tuple[str, ...], int] | tuple[tuple[str, ...], int, int]
_Reader = Callable[[WorkerOptions, Mapping[str, str]], _Addresses | None]
_SOURCES: Mapping[str, tuple[_Reader, str, str]] = {
    "tf_config": (tf_config.read, tf_config.VARIABLE, f"{tf_config.VARIABLE} is not set"),
    "slurm": (slurm.read, "Slurm", slurm.MISSING),
    "kubernetes": (kubernetes.read, "Kubernetes", kubernetes.MISSING),
}


def resolve(options: WorkerOptions, environment: Mapping[str, str] = os.environ) -> Cluster:
    """Returns the workers and the index of this process.

    Args:
      options: options of the run; addresses in them take precedence over the environment.
      environment: environment variables.

    Raises:
      UserError: if the addresses are missing or invalid, the environment contradicts the options,
        or a step would not aggregate the gradients of all workers.
    """
    if options.master:
        hosts = tuple(address.removeprefix("grpc://") for address in options.master)
        return _checked(options, Cluster(hosts, options.task, "", options.servers))
    for name, (read, source, missing) in _SOURCES.items():
        if options.cluster not in ("auto", name):
            continue
        addresses = read(options, environment)
        if addresses is not None:
            hosts, task, *servers = addresses
            count = servers[0] if servers else options.servers
            return _checked(options, Cluster(hosts, task, source, count))
        if options.cluster == name:
            raise problems.error("{}: {}", named("cluster", name), missing)
    if options.servers:
        raise problems.error(
            "{} needs addresses: pass the same {} to every process, of the coordinator, of {} and"
            " of the servers, and {} of this one; or set TF_CONFIG with the jobs chief, worker, ps",
            named("num_ps_tasks", options.servers),
            named("master", "host0:port,host1:port,..."),
            named("worker_replicas", options.worker_replicas),
            named("task", f"0 to {options.processes - 1}"),
        )
    if options.worker_replicas > 1:
        _check_aggregation(options, options.worker_replicas)
        raise problems.error(
            "{} needs the workers' addresses: pass the same {} to every worker, or set TF_CONFIG",
            named("worker_replicas", options.worker_replicas),
            named("master", "host0:port,host1:port"),
        )
    return _checked(options, ALONE)


def with_workers(config: TrainConfig, cluster: Cluster) -> TrainConfig:
    """Returns the options with number and task of the workers as in the cluster.

    Raises:
      UserError: if there are parameter servers, which do not support one of the options.
    """
    strategy = dataclasses.replace(
        config.strategy,
        worker_replicas=max(1, len(cluster.workers)),
        num_ps_tasks=cluster.servers,
        task=cluster.task,
    )
    config = dataclasses.replace(config, strategy=strategy)
    parameter_servers.check(config)
    return config


def _checked(options: WorkerOptions, cluster: Cluster) -> Cluster:
    """Returns the cluster, or ALONE if it is a single process."""
    hosts, task, source, servers = cluster
    if servers and not isinstance(options, StrategyOptions):
        raise problems.error(
            "{} has parameter servers, which only train. Pass {}", source, named("cluster", "none")
        )
    if servers and not cluster.workers:
        raise problems.error(
            "{} has {} processes, but {} needs a coordinator and at least one worker too",
            source,
            len(hosts),
            named("num_ps_tasks", servers),
        )
    if options.servers not in (0, servers):
        raise problems.error(
            "{} has {} parameter servers, but {}",
            source,
            servers,
            named("num_ps_tasks", options.servers),
        )
    if source and options.worker_replicas not in (1, len(cluster.workers)):
        raise problems.error(
            "{} has {} workers, but {}",
            source,
            len(cluster.workers),
            named("worker_replicas", options.worker_replicas),
        )
    if source and options.task not in (0, task):
        raise problems.error(
            "{} makes this task {} of {} workers, but {}",
            source,
            task,
            len(hosts),
            named("task", options.task),
        )
    where = source or named("master")
    for index, address in enumerate(hosts):
        match = ADDRESS.match(address)
        if not match or not 0 < int(match["port"]) < 65536:
            raise problems.error("{}: {} is not host:port", where, _json.printable(repr(address)))
        if address in hosts[:index]:
            raise problems.error("{} has the address {} twice", where, address)
    if not servers:  # which do not aggregate
        _check_aggregation(options, max(1, len(hosts)))
    return cluster if len(hosts) > 1 else ALONE


def _check_aggregation(options: WorkerOptions, workers: int) -> None:
    """Checks that each update uses one gradient per worker, if there are updates."""
    if not isinstance(options, StrategyOptions):
        return
    asked = options.replicas_to_aggregate
    if options.sync_replicas and asked != workers:
        raise problems.error(
            "{} must equal {}: each update uses one gradient per worker",
            named("replicas_to_aggregate", asked),
            named("worker_replicas", workers),
        )
    if not options.sync_replicas and asked != 1:
        raise problems.error(
            "{} needs {}", named("replicas_to_aggregate", asked), named("sync_replicas")
        )
