"""Workers that train in parallel: their addresses, from the options or from TF_CONFIG."""

import dataclasses
import os
from collections.abc import Mapping
from typing import Annotated, NamedTuple

import msgspec

from classifier.config import problems
from classifier.config.problems import named
from classifier.config.strategy import StrategyOptions
from slim import _checks, _json

VARIABLE = "TF_CONFIG"


class Cluster(NamedTuple):
    """Addresses of the workers (empty for a single process) and the index of this one."""

    hosts: tuple[str, ...] = ()
    task: int = 0


ALONE = Cluster()

_Index = Annotated[int, msgspec.Meta(ge=0, le=1 << 20)]
_Digits = Annotated[str, msgspec.Meta(pattern="^[0-9]{1,6}$")]  # some launchers write a string


@dataclasses.dataclass(frozen=True)
class _Task:
    type: _json.Name
    index: _Index | _Digits


@dataclasses.dataclass(frozen=True)
class _Config:
    """The supported part of TF_CONFIG."""

    cluster: dict[_json.Name, list[_json.Name]]
    task: _Task


def resolve(options: StrategyOptions, environment: Mapping[str, str] = os.environ) -> Cluster:
    """Returns the workers and the index of this process.

    Args:
      options: options of the run; they take precedence over TF_CONFIG.
      environment: environment variables.

    Raises:
      UserError: if the addresses are missing, TF_CONFIG contradicts the options, or a step would
        not aggregate the gradients of all workers.
    """
    _check_aggregation(options)
    if options.worker_replicas == 1 or options.master:
        hosts = tuple(address.removeprefix("grpc://") for address in options.master)
        return Cluster(hosts, options.task)
    text = environment.get(VARIABLE)
    if not text:
        raise problems.error(
            "{} needs the workers' addresses: pass the same {} to every worker, or set TF_CONFIG",
            named("worker_replicas", options.worker_replicas),
            named("master", "host0:port,host1:port"),
        )
    try:
        config = _json.decode(text.encode("utf-8", "surrogateescape"), _Config)
    except ValueError as error:
        shown = text if len(text) <= 200 else f"{text[:200]}..."
        raise _checks.UserError(
            f"{VARIABLE} is not valid JSON with cluster and task ({error}): {shown!r}"
        ) from None
    jobs, job, index = config.cluster, config.task.type, int(config.task.index)
    strange = sorted({*jobs, job} - {"chief", "worker"})
    if strange:
        raise _checks.UserError(
            f"{VARIABLE}: unsupported jobs: {_json.printable(', '.join(strange))}. Allowed:"
            " chief, worker"
        )
    chiefs = jobs.get("chief", [])
    before = len(chiefs) if job == "worker" else 0
    cluster = Cluster((*chiefs, *jobs.get("worker", [])), before + index)
    if len(cluster.hosts) != options.worker_replicas:
        raise problems.error(
            "{} has {} workers, but {}",
            VARIABLE,
            len(cluster.hosts),
            named("worker_replicas", options.worker_replicas),
        )
    if not 0 <= cluster.task < len(cluster.hosts) or options.task not in (0, cluster.task):
        raise problems.error(
            "{} makes this task {} of {} workers, but {}",
            VARIABLE,
            cluster.task,
            len(cluster.hosts),
            named("task", options.task),
        )
    return cluster


def _check_aggregation(options: StrategyOptions) -> None:
    """Checks that each update uses one gradient per worker."""
    asked, workers = options.replicas_to_aggregate, options.worker_replicas
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
