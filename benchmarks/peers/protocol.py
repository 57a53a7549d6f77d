"""The worker's end of the line protocol between a benchmark and its contestants' processes.

A request is a line of JSON on stdin, `{"command": "prepare", "name": ..., ...}` or
`{"command": "run", "name": ..., "steps": N}`, and the answer a line of JSON on stdout. Standard
library only: each worker runs in an environment of its own.
"""

import contextlib
import json
import os
import pathlib
import resource
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any

Run = Callable[[int], object]  # runs a number of steps
# From a request's other values to the contestant and what is known about it.
Prepare = Callable[..., tuple[Run, dict[str, Any]]]


def serve(prepare: Prepare) -> None:
    """Answers requests until stdin ends."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # libraries print to stdout
    runs: dict[str, Run] = {}
    rested = time.process_time()
    for line in sys.stdin:
        idle = time.process_time() - rested
        try:
            answer = _answer(json.loads(line), prepare, runs)
        except Exception as error:
            traceback.print_exc()
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps({**answer, "idle_processor_seconds": idle}), file=answers)
        rested = time.process_time()


def _answer(request: dict[str, Any], prepare: Prepare, runs: dict[str, Run]) -> dict[str, Any]:
    command, name = request.pop("command"), request.pop("name")
    if command == "prepare":
        runs[name], facts = prepare(**request)
        return facts
    reset_peak()
    start, processor = time.perf_counter(), time.process_time()
    runs[name](request["steps"])
    return {
        "seconds": time.perf_counter() - start,
        "processor_seconds": time.process_time() - processor,
        "peak_bytes": peak_bytes(),
    }


def repeated(step: Callable[[], object]) -> Run:
    """Returns a function that runs a step several times."""

    def run(steps: int) -> None:
        for _ in range(steps):
            step()

    return run


def reset_peak() -> None:
    """Lowers the recorded peak to the memory that the process has now, where Linux can."""
    with contextlib.suppress(OSError):
        pathlib.Path("/proc/self/clear_refs").write_text("5")


def peak_bytes() -> int:
    """Returns the peak of the process's resident memory."""
    with contextlib.suppress(OSError):
        for line in pathlib.Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
