"""Starts, waits for and kills scripts in forks of a process with TensorFlow loaded."""

import contextlib
import json
import os
import pathlib
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any, NamedTuple


class Started(NamedTuple):
    """A script that was started: its process and the file with its output."""

    process: int
    output: pathlib.Path


class Scripts:
    """Starts scripts; see `serve`."""

    def __init__(self, server: subprocess.Popen) -> None:
        self._server = server

    def _ask(self, question: dict[str, Any]) -> Any:
        print(json.dumps(question), file=self._server.stdin, flush=True)
        return json.loads(self._server.stdout.readline())

    def start(
        self,
        script: str,
        *arguments: str,
        output: pathlib.Path,
        directory: pathlib.Path | None = None,
    ) -> Started:
        """Starts a script: `name.py` below the checkout, or a module.

        Args:
          script: the script.
          *arguments: its command line.
          output: file for what it prints.
          directory: its working directory.
        """
        question = {"script": script, "arguments": arguments, "output": str(output)}
        place = {"directory": str(directory)} if directory else {}
        return Started(self._ask(question | place), output)

    def wait(self, started: Started, seconds: float = 900) -> int | None:
        """Returns the exit code, or None if the script has not ended within so many seconds."""
        return self._ask({"wait": started.process, "seconds": seconds})

    def kill(self, started: Started) -> int:
        """Kills a script with its worker processes, and returns the exit code."""
        # It is not reaped before `wait`, so the id is its own, and that of its session. A script
        # that was started this moment may not have one yet.
        for kill in (os.killpg, os.kill):
            with contextlib.suppress(ProcessLookupError):
                kill(started.process, signal.SIGKILL)
        return self.wait(started)


@contextlib.contextmanager
def serve(**environment: str) -> Iterator[Scripts]:
    """Starts the process with TensorFlow loaded; it ends with the block."""
    path = pathlib.Path(__file__).with_name("fork_server.py")
    with subprocess.Popen(
        [sys.executable, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | environment,
    ) as server:
        yield Scripts(server)
        server.stdin.close()
