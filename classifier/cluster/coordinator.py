"""The coordinator of parameter servers and their workers: who is there, while the job runs.

It listens at its address, which TensorFlow does not use; the other processes connect, also when
they are started again.
"""

import atexit
import contextlib
import logging
import signal
import threading
import time
from collections.abc import Iterator

from classifier.cluster import facts, interfaces
from classifier.cluster.channel import Channel
from classifier.cluster.side import (
    CONNECT_SECONDS,
    RESUME,
    Side,
    end_at_once,
    leave_at_once,
    listening,
)
from classifier.config import problems
from classifier.resolve.cluster import Cluster
from classifier.resolve.training import ResolvedRun
from slim import _checks, _json, signals, workers

PROTOCOL = "slim parameter servers 1"
SIGN_SECONDS = 5.0
_GRACE = 5.0  # for the main thread to end by itself
_JOBS = {"chief": "coordinator", "worker": "worker", "ps": "parameter server"}


def describe(cluster: Cluster, task: int | None = None) -> str:
    """Returns `worker 0 (task 1, host:port)` for a process, by default this one."""
    task = cluster.task if task is None else task
    job, index = cluster.job(task)
    number = "" if job == "chief" else f" {index}"
    return f"{_JOBS[job]}{number} (task {task}, {cluster.hosts[task]})"


@contextlib.contextmanager
def joined(cluster: Cluster, resolved: ResolvedRun) -> Iterator[None]:
    """Waits for all processes, and runs the block while it supervises them.

    A worker may end, and come back. A signal to a parameter server acts as one to this process,
    which saves. If a parameter server ends, or a process is not heard from for
    `--worker_timeout_secs`, or all workers are gone for that time, this process ends with exit code
    1 and one line that names it, even if its main thread is blocked. At the end of the block, the
    other processes end too.

    Args:
      cluster: the processes; this is the first.
      resolved: the run, whose options have to be the same for all.

    Raises:
      UserError: if the processes differ.
      RunError: if this one cannot listen at its address or another is missing; in the block, if one
        is lost.
    """
    options = resolved.config.strategy
    print(f"{describe(cluster)}: waiting for the others", flush=True)
    interfaces.check(options.allow_public_bind)
    own, timeout = facts.of_servers(resolved.config), options.worker_timeout_secs
    with (
        listening(cluster) as listener,
        _Coordinator(cluster, own, timeout, listener) as coordinator,
    ):
        try:
            coordinator.meet()
            with coordinator.supervising():
                yield
        except BaseException as error:
            raise coordinator.ended(error) from error
        coordinator.dismiss(left="done")


class _Coordinator(Side):
    """The coordinator's side of the connections."""

    def __init__(self, *arguments: object) -> None:
        super().__init__(*arguments)  # type: ignore[arg-type]
        self._others = range(1, len(self.cluster.hosts))
        self._present: dict[int, Channel] = {}
        self._is_started = self._is_stopping = False
        self._over, self._lost = threading.Event(), threading.Event()
        self._reason: str | None = None
        self._alone_since: float | None = None
        self._thread = threading.Thread(target=self._run, name="servers", daemon=True)

    def meet(self) -> None:
        """Returns when all processes are here and equal."""
        while len(self._present) < len(self._others):
            self.wait(*self.strangers, *self._present.values())
            self._receive()
            absent = [self.name(task) for task in self._others if task not in self._present]
            if absent:
                self.report(f"{_checks.listed(absent, 4)} did not start or cannot reach this one")
        self._is_started = True

    def name(self, task: int) -> str:
        """Returns `worker 0 (task 1, host:port)`."""
        return describe(self.cluster, task)

    @contextlib.contextmanager
    def supervising(self) -> Iterator[None]:
        """Watches the others from a thread during the block."""
        # Its paragraphs about a worker that ended; `_leave` prints a line, and errors are raised.
        logger = logging.getLogger("tensorflow")
        level = logger.level
        logger.setLevel(logging.CRITICAL)
        self._thread.start()
        try:
            yield
        except BaseException as error:
            if workers.is_lost(error):
                self._lost.wait(2 * _GRACE)  # until the thread knows which
            raise
        finally:
            self._over.set()
            self._thread.join()
            logger.setLevel(level)

    def ended(self, error: BaseException) -> BaseException:
        """Dismisses the others after an error; returns the one to raise."""
        if self._reason is not None:
            error = _checks.RunError(self._reason)
        atexit.register(leave_at_once, exit_code(error))
        if isinstance(error, signals.Preempted | signals.Stopped):
            self.dismiss(left="stopped", why=str(error))
        else:
            self.dismiss(left="failed", why=problems.as_flags(error).partition("\n")[0][:1000])
        return error

    def dismiss(self, **message: object) -> None:
        """Lets the others end."""
        for channel in self._present.values():
            channel.send(**message)
            channel.flush(CONNECT_SECONDS)
            channel.close()

    def _run(self) -> None:
        next_sign = 0.0
        while not self._over.is_set():
            self.wait(*self.strangers, *self._present.values())
            if self._over.is_set():
                return
            self._receive()
            if time.monotonic() >= next_sign:
                next_sign = time.monotonic() + SIGN_SECONDS
                for channel in self._present.values():
                    channel.send()
            if self._reason is not None or (reason := self._fatal_problem()):
                self._end(self._reason or reason)
                return

    def _fatal_problem(self) -> str | None:
        """Returns why the job cannot continue, or None."""
        now = time.monotonic()
        for task, channel in self._present.items():
            silent = now - channel.heard
            if silent > self.timeout:
                return (
                    f"{self.name(task)} has not responded for {silent:.0f} s: it hangs or is cut"
                    f" off. {RESUME}"
                )
        if any(self.cluster.job(task)[0] == "worker" for task in self._present):
            self._alone_since = None
            return None
        self._alone_since = self._alone_since or now
        if now - self._alone_since > self.timeout:
            return f"no worker came back within {self.timeout:g} s. {RESUME}"
        return None

    def _receive(self) -> None:
        for channel, message in self.greetings():
            self._greet(channel, message)
        for task, channel in list(self._present.items()):
            if any("stopped" in message for message in channel.receive()):
                self._stop(task)
            if not channel.is_open:
                self._leave(task)

    def _greet(self, channel: Channel, message: dict[str, object]) -> None:
        """Accepts a process, or sends it the reason why not."""
        task, hosts, theirs = (message.get(name) for name in ("task", "hosts", "facts"))
        if isinstance(task, int) and task in self._present:
            self._present[task].receive()  # it may have ended just now
            if not self._present[task].is_open:
                self._leave(task)
        if message.get("protocol") != PROTOCOL or not isinstance(theirs, dict):
            problem = "the coordinator runs another version of slim"
        elif hosts != list(self.cluster.hosts):
            problem = (
                f"the addresses differ: {','.join(self.cluster.hosts)} of the coordinator,"
                f" {_json.printable(str(hosts))} of task {_json.printable(str(task))}"
            )
        elif task not in self._others or task in self._present:
            problem = f"task {_json.printable(str(task))} was already started"
        elif theirs != self.facts:
            lines = facts.differences({0: self.facts, task: theirs}, "task")
            problem = "\n".join(f"the processes differ: {line}" for line in lines)
        else:
            self._present[task] = channel
            channel.send(start=True)
            if self._is_started:
                print(f"{self.name(task)} is back", flush=True)
            return
        channel.send(refused=problem)
        channel.flush(CONNECT_SECONDS)
        channel.close()
        if not self._is_started and task in self._others and isinstance(theirs, dict):
            raise _checks.UserError(problem)

    def _stop(self, task: int) -> None:
        """Ends the job because of a signal to a parameter server."""
        if not self._is_stopping:
            self._is_stopping = True
            print(f"{self.name(task)} received a signal: all save and end", flush=True)
            signals.request_stop(signal.SIGTERM)

    def _leave(self, task: int) -> None:
        """Notes that a process has ended."""
        self._present.pop(task).close()
        if not self._is_started:
            return
        if self.cluster.job(task)[0] == "ps":
            self._reason = f"{self.name(task)} ended, and its variables are lost. {RESUME}"
            return
        count = sum(self.cluster.job(each)[0] == "worker" for each in self._present)
        print(
            f"{self.name(task)} ended or its connection was closed; training continues with"
            f" {count} of {len(self.cluster.workers)} workers until it is started again",
            flush=True,
        )

    def _end(self, reason: str) -> None:
        self._reason = reason
        self._lost.set()
        if self._over.wait(_GRACE):
            return
        self.dismiss(left="failed", why=reason)
        end_at_once(reason, 1)


def exit_code(error: BaseException) -> int:
    """Returns the exit code of a script that ends by an error."""
    if isinstance(error, signals.Stopped):
        return 128 + error.signal
    if isinstance(error, signals.Preempted):
        return signals.EXIT_CODE
    return 2 if isinstance(error, _checks.UserError) else 1
