"""Workers of a Slurm job step: one for each task that `srun` starts.

The variables are described in srun's manual, section OUTPUT ENVIRONMENT VARIABLES.
"""

import itertools
import re
from collections.abc import Iterator, Mapping

from classifier.config import problems
from classifier.config.problems import named
from classifier.config.workers import WorkerOptions
from slim import _checks, _json

MISSING = "SLURM_STEP_NUM_TASKS is not set. Start the workers with srun"

_MAX_TASKS = 1 << 16
_FIRST_PORT, _PORTS, _JOBS = 12000, 16, 1000  # below the ports of outgoing connections


def read(
    options: WorkerOptions, environment: Mapping[str, str]
) -> tuple[tuple[str, ...], int] | None:
    """Returns the workers' addresses and the index of this one.

    None outside a job step: a process that a batch script starts without srun is alone.

    Raises:
      UserError: if a variable is missing or invalid.
    """
    if "SLURM_STEP_NUM_TASKS" not in environment:
        return None
    count = _number(environment, "SLURM_STEP_NUM_TASKS")
    task = _number(environment, "SLURM_PROCID")
    nodes = list(node_names(_text(environment, "SLURM_STEP_NODELIST")))
    tasks = list(tasks_per_node(_text(environment, "SLURM_STEP_TASKS_PER_NODE")))
    if len(nodes) != len(tasks) or sum(tasks) != count or task >= count:
        raise _checks.UserError(
            f"Slurm's variables contradict each other: task {task} of {count}, {len(nodes)} nodes,"
            f" {len(tasks)} of which have {sum(tasks)} tasks"
        )
    places = _places(tasks, environment.get("SLURM_DISTRIBUTION", "block"))
    node = environment.get("SLURM_NODEID", str(places[task][0]))
    if node != str(places[task][0]):
        raise problems.error(
            "Slurm placed task {} on node {}, not {}: only the distributions block and cyclic are"
            " supported. Start with srun --distribution=block, or pass {}",
            task,
            _json.printable(node),
            places[task][0],
            named("master"),
        )
    port = options.cluster_port or _first_port(environment)
    return tuple(f"{nodes[node]}:{port + local}" for node, local in places), task


def node_names(text: str) -> Iterator[str]:
    """Yields the names of a node list such as `n[001-003,010],login`.

    Raises:
      UserError: if the list is invalid.
    """
    if not re.fullmatch(r"(?:[^\[\],\s]|\[[\d,-]+\])+(?:,(?:[^\[\],\s]|\[[\d,-]+\])+)*", text):
        raise _invalid("SLURM_STEP_NODELIST", text)
    for item in re.findall(r"(?:[^\[\],]|\[[^\]]*\])+", text):
        parts = re.split(r"\[(.*?)\]", item)
        numbers = [
            [part] if index % 2 == 0 else list(_numbers(part, text))
            for index, part in enumerate(parts)
        ]
        for name in itertools.islice(itertools.product(*numbers), _MAX_TASKS):
            yield "".join(name)


def _numbers(ranges: str, text: str) -> Iterator[str]:
    """Yields the numbers of `001-003,010`, with their leading zeros."""
    for each in ranges.split(","):
        match = re.fullmatch(r"(\d{1,9})(?:-(\d{1,9}))?", each)
        first, last = match.groups() if match else ("1", "0")
        numbers = range(int(first), int(last or first) + 1)
        if not 0 < len(numbers) <= _MAX_TASKS:
            raise _invalid("SLURM_STEP_NODELIST", text)
        yield from (f"{number:0{len(first)}}" for number in numbers)


def tasks_per_node(text: str) -> Iterator[int]:
    """Yields the number of tasks of each node of a text such as `2(x3),1`.

    Raises:
      UserError: if the text is invalid.
    """
    for each in text.split(","):
        match = re.fullmatch(r"(\d{1,5})(?:\(x(\d{1,5})\))?", each)
        if not match:
            raise _invalid("SLURM_STEP_TASKS_PER_NODE", text)
        yield from itertools.repeat(int(match[1]), int(match[2] or 1))


def _places(tasks: list[int], distribution: str) -> list[tuple[int, int]]:
    """Returns node and index on the node of each task."""
    places = [(node, local) for node, count in enumerate(tasks) for local in range(count)]
    if distribution.startswith("cyclic"):
        places.sort(key=lambda place: (place[1], place[0]))
    return places


def _first_port(environment: Mapping[str, str]) -> int:
    """Returns the first port that `srun --resv-ports` reserved, or one that depends on the job."""
    reserved = re.match(r"\d{1,5}", environment.get("SLURM_STEP_RESV_PORTS", ""))
    if reserved:
        return int(reserved[0])
    return _FIRST_PORT + _number(environment, "SLURM_JOB_ID") % _JOBS * _PORTS


def _text(environment: Mapping[str, str], variable: str) -> str:
    if variable not in environment:
        raise _checks.UserError(f"Slurm's variable {variable} is not set. Start with srun")
    return environment[variable]


def _number(environment: Mapping[str, str], variable: str) -> int:
    text = _text(environment, variable)
    if not re.fullmatch(r"\d{1,10}", text):
        raise _invalid(variable, text)
    return int(text)


def _invalid(variable: str, text: str) -> _checks.UserError:
    return _checks.UserError(f"Slurm's {variable} is invalid: {_json.printable(repr(text[:200]))}")
