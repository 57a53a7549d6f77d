#!/usr/bin/env python3
"""Trains or evaluates with several worker processes on this machine: to try out many machines.

It picks free ports, passes --worker_replicas, --master and --task to each process, prefixes their
output with the task, forwards signals, and ends when all have ended. If a process fails, the others
end by themselves; then all are started again, and resume, at most --max_restarts times. With
parameter servers (--ps), a coordinator is task 0, and a worker that fails is started again alone.
"""

import argparse
import contextlib
import pathlib
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from typing import IO

SCRIPTS = ("train_image_classifier", "eval_image_classifier")
SAVED, WRONG_USE = 75, 2  # exit codes of the scripts
_LAST_SECONDS = 60.0  # for the others to end after the first
_POLL = 0.2


def main(arguments: Sequence[str]) -> int:
    """Runs the launcher; returns its exit code."""
    parser = argparse.ArgumentParser(
        prog="local.py",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="The other flags are those of the script; --train_dir is shared.",
        allow_abbrev=False,
    )
    parser.add_argument("--workers", type=_positive, default=2, help="number of processes")
    parser.add_argument("--ps", type=_natural, default=0, help="number of parameter servers")
    parser.add_argument("--max_restarts", type=_natural, default=0, help="restarts after a failure")
    parser.add_argument("--script", choices=SCRIPTS, default=SCRIPTS[0], help="what to run")
    options, flags = parser.parse_known_args(arguments)
    signals: list[int] = []
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda received, frame: signals.append(received))
    restarts = _Restarts(options.max_restarts)
    while True:
        command = [*_command(options.script), *flags]
        codes = _run(options.workers, options.ps, command, signals, restarts)
        failed = {task: code for task, code in codes.items() if code}
        if not failed or (options.ps and not codes[0]):  # the coordinator needs not all workers
            return 0
        code = _summary(list(failed.values()))
        if signals or code == WRONG_USE:
            return code
        if not restarts.is_left("all"):
            return code


class _Restarts:
    def __init__(self, most: int) -> None:
        self._most, self._count = most, 0

    def is_left(self, what: str) -> bool:
        """Counts and reports a restart, if one is left."""
        if self._count == self._most:
            return False
        self._count += 1
        print(f"local.py: restart {self._count} of {self._most}: {what}", file=sys.stderr)
        return True


def _summary(codes: list[int]) -> int:
    """Returns the exit code of the job for the codes of the processes that failed."""
    for code in (WRONG_USE, 1):
        if code in codes:
            return code
    return SAVED if set(codes) == {SAVED} else 1


def _run(
    workers: int, servers: int, command: Sequence[str], signals: list[int], restarts: _Restarts
) -> dict[int, int]:
    """Runs the job once; returns each process's exit code, in the order in which they ended."""
    count = workers + (1 + servers if servers else 0)
    hosts = ",".join(f"127.0.0.1:{port}" for port in _free_ports(count))
    own = [f"--worker_replicas={workers}"] + [f"--num_ps_tasks={servers}"] * (servers > 0)
    own += [f"--master={hosts}"] * (count > 1)  # a single process has no server
    running: dict[int, subprocess.Popen[str]] = {}
    threads: list[threading.Thread] = []

    def start(task: int) -> None:
        # In sessions of their own: the terminal's Ctrl-C reaches this process alone.
        running[task] = subprocess.Popen(
            [*command, *own, f"--task={task}"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace",
            start_new_session=True,
        )  # fmt: skip
        for source, target in (
            (running[task].stdout, sys.stdout),
            (running[task].stderr, sys.stderr),
        ):
            threads.append(threading.Thread(target=_copy, args=(task, source, target), daemon=True))
            threads[-1].start()

    for task in range(count):
        start(task)
    codes: dict[int, int] = {}
    forwarded, deadline = 0, None
    while running:
        for number in signals[forwarded:]:
            forwarded += 1
            for process in running.values():
                process.send_signal(number)
        for task in [task for task, process in running.items() if process.poll() is not None]:
            code = running.pop(task).returncode
            is_worker = servers > 0 and 0 < task <= workers
            others_run = deadline is None and not signals and 0 in running
            if code and is_worker and others_run and restarts.is_left(f"task {task}"):
                start(task)
                continue
            codes[task] = code
            if is_worker and others_run and len(running) > servers + 1:
                continue  # the other workers go on
            deadline = deadline or time.monotonic() + _LAST_SECONDS
        if deadline is not None and time.monotonic() > deadline:
            for task, process in running.items():
                print(f"local.py: worker {task} does not end: killed", file=sys.stderr)
                process.kill()
        time.sleep(_POLL)
    for thread in threads:
        thread.join()
    for task, code in codes.items():
        if code not in (0, SAVED):
            print(f"local.py: worker {task} ended with exit code {code}", file=sys.stderr)
    return codes


def _copy(task: int, source: IO[str], target: IO[str]) -> None:
    with source:
        for line in source:
            with contextlib.suppress(BrokenPipeError):
                print(f"[{task}] {line}", end="", file=target, flush=True)


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def _command(name: str) -> list[str]:
    script = pathlib.Path(__file__).resolve().parents[2] / f"{name}.py"
    if script.exists():  # a checkout
        return [sys.executable, str(script)]
    return [sys.executable, "-P", "-m", f"slim.scripts.{name}"]


def _positive(text: str) -> int:
    if int(text) < 1:
        raise argparse.ArgumentTypeError("must be positive")
    return int(text)


def _natural(text: str) -> int:
    if int(text) < 0:
        raise argparse.ArgumentTypeError("must not be negative")
    return int(text)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
