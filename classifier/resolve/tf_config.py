"""Workers of TensorFlow's variable TF_CONFIG."""

import dataclasses
from collections.abc import Mapping
from typing import Annotated

import msgspec

from classifier.config.workers import WorkerOptions
from slim import _checks, _json

VARIABLE = "TF_CONFIG"

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


def read(
    options: WorkerOptions, environment: Mapping[str, str]
) -> tuple[tuple[str, ...], int, int] | None:
    """Returns the addresses, the index of this one, and the number of parameter servers, which are
    the last; or None if it is not set.

    Raises:
      UserError: if it is invalid.
    """
    text = environment.get(VARIABLE)
    if not text:
        return None
    try:
        config = _json.decode(text.encode("utf-8", "surrogateescape"), _Config)
    except ValueError as error:
        shown = text if len(text) <= 200 else f"{text[:200]}..."
        raise _checks.UserError(
            f"{VARIABLE} is not valid JSON with cluster and task ({error}): {shown!r}"
        ) from None
    jobs, job, index = config.cluster, config.task.type, int(config.task.index)
    strange = sorted({*jobs, job} - {"chief", "worker", "ps"})
    if strange:
        raise _checks.UserError(
            f"{VARIABLE}: unsupported jobs: {_json.printable(', '.join(strange))}. Allowed:"
            " chief, worker, ps"
        )
    order = ("chief", "worker", "ps")
    chiefs, workers, servers = (jobs.get(name, []) for name in order)
    if index >= len(jobs.get(job, [])):
        raise _checks.UserError(
            f"{VARIABLE} contradicts itself: this is {job} {index}, but its cluster has"
            f" {len(jobs.get(job, []))} of that job"
        )
    if len(chiefs) > 1:
        raise _checks.UserError(f"{VARIABLE} has {len(chiefs)} chiefs. Allowed: one")
    if servers and not (chiefs and workers):
        raise _checks.UserError(
            f"{VARIABLE} has parameter servers, but {len(chiefs)} chiefs and {len(workers)}"
            " workers. They need one chief, which coordinates, and at least one worker"
        )
    before = sum(len(jobs.get(name, [])) for name in order[: order.index(job)])
    return (*chiefs, *workers, *servers), before + index, len(servers)
