"""Contestants in processes and environments of their own, see `peers/protocol.py`."""

import contextlib
import hashlib
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Mapping, Sequence
from typing import Any

PEERS = pathlib.Path(__file__).parent / "peers"
ENVIRONMENTS = pathlib.Path(__file__).parents[1] / ".benchmarks"
_LAST_LINES = 15  # of a failed worker's stderr


class WorkerError(Exception):
    """A worker cannot prepare or run a contestant."""


def python_of(environment: str) -> str:
    """Returns the interpreter of `peers/ENVIRONMENT.txt`, installed again if that file changed."""
    requirements = PEERS / f"{environment}.txt"
    directory = ENVIRONMENTS / environment
    python = directory / "bin" / "python"
    state = directory / "installed.txt"
    version = hashlib.sha256(requirements.read_bytes() + sys.version.encode()).hexdigest()
    if not state.exists() or state.read_text() != version:
        print(f"installing {requirements.name} in {directory}", file=sys.stderr, flush=True)
        venv.create(directory, clear=True, with_pip=True)
        install = [str(python), "-m", "pip", "install", "--quiet", "-r", str(requirements)]
        subprocess.run(install, check=True, stdout=sys.stderr)
        state.write_text(version)
    return str(python)


class Worker:
    """A process that prepares and runs contestants by name.

    Args:
      program: file in `peers/`.
      python: interpreter that runs it.
      arguments: of the program.
      environment: further variables of the environment.
    """

    def __init__(
        self,
        program: str,
        python: str = sys.executable,
        arguments: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._program = program
        self._errors = tempfile.TemporaryFile(  # noqa: SIM115 (closed by `close`)
            mode="w+", encoding="utf-8", errors="replace"
        )
        self._process = subprocess.Popen(
            [python, str(PEERS / program), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            bufsize=1,
            env=os.environ | (environment or {}),
        )
        self._rested = time.perf_counter()
        self._idle = [0.0, 0.0]  # processor and wall seconds between requests

    @property
    def idle_load(self) -> float:
        """Processor seconds per second while the worker waits; not 0 if its threads spin."""
        processor, wall = self._idle
        return processor / wall if wall else 0.0

    def prepare(self, name: str, **values: Any) -> dict[str, Any]:
        """Prepares a contestant; returns what the worker knows about it."""
        return self._ask(command="prepare", name=name, **values)

    def run(self, name: str, steps: int) -> dict[str, Any]:
        """Runs a number of steps; returns seconds, processor seconds and peak memory."""
        return self._ask(command="run", name=name, steps=steps)

    def seconds_per_step(self, name: str, steps: int) -> float:
        """Runs a number of steps; returns the mean seconds of one."""
        return self.run(name, steps)["seconds"] / steps

    def _ask(self, **request: Any) -> dict[str, Any]:
        waited = time.perf_counter() - self._rested
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            answer = json.loads(self._process.stdout.readline() or "null")
        except BrokenPipeError:
            answer = None
        if answer is None or "error" in answer:
            self._errors.seek(0)
            lines = self._errors.read().splitlines()[-_LAST_LINES:]
            text = answer["error"] if answer else "it ended"
            raise WorkerError(f"{self._program}: {text}. Its last lines:\n" + "\n".join(lines))
        self._idle[0] += answer.pop("idle_processor_seconds")
        self._idle[1] += waited
        self._rested = time.perf_counter()
        return answer

    def close(self) -> None:
        """Ends the process."""
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            self._process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
        self._errors.close()

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
