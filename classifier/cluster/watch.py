"""Supervision of the other workers while the job runs."""

import atexit
import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from typing import Self

from classifier.cluster import facts, interfaces, meeting
from classifier.cluster.channel import Channel
from classifier.cluster.side import RESUME, Links, end_at_once, leave_at_once
from classifier.config import problems
from classifier.config.workers import WorkerOptions
from classifier.resolve.cluster import Cluster
from slim import _checks, _json, signals, workers

_MOST_SILENT = 0.7  # of the timeout; the rest is for ending
_SIGN_SECONDS = 5.0
_POLL = 0.5


@contextlib.contextmanager
def joined(
    cluster: Cluster,
    options: WorkerOptions,
    own_facts: Callable[[], facts.Facts],
    advice: str = RESUME,
) -> Iterator[None]:
    """Waits for the other workers, and runs the block under mutual supervision.

    If another worker fails, dies, or is not heard from for `--worker_timeout_secs`, this process
    ends with exit code 1 and one line that names it, even if its main thread is blocked. With a
    single process, the block is all that happens.

    Args:
      cluster: the workers.
      options: of the workers.
      own_facts: returns what has to be the same for all.
      advice: what to do when a worker is lost.

    Raises:
      UserError: if the workers differ.
      RunError: if a worker cannot listen at its address or is missing; in the block, if another
        worker is lost. Preempted: if that was stopped by a signal.
    """
    if not cluster.hosts:
        yield
        return
    hosts = _checks.listed(cluster.hosts, 8)
    source = f" (from {cluster.source})" if cluster.source else ""
    print(f"worker {cluster.task} of {hosts}{source}: waiting for the others", flush=True)
    interfaces.check(options.allow_public_bind)
    timeout = options.worker_timeout_secs
    links = meeting.meet(cluster, own_facts(), timeout)
    with _Watch(cluster, links, timeout, advice) as watch:
        try:
            yield
        except BaseException as error:
            if not workers.is_lost(error):
                watch.leave(error)
                raise
            reason = watch.reason(timeout)
            if reason is None:
                watch.leave(error)
                raise
            atexit.register(leave_at_once, signals.EXIT_CODE if watch.is_stop else 1)
            if watch.is_stop:
                raise signals.Preempted(reason) from error
            raise _checks.RunError(reason) from error
        watch.leave()


class _Watch:
    """A thread that exchanges signs of life and ends the process if another worker is lost."""

    def __init__(self, cluster: Cluster, links: Links, timeout: float, advice: str) -> None:
        self._cluster = cluster
        self._advice = advice
        self._links = dict(links)
        self._timeout = timeout
        self._interval = min(_SIGN_SECONDS, timeout / 10)
        self._grace = min(_SIGN_SECONDS, timeout / 20)  # for the main thread to end by itself
        self._reason: str | None = None
        self.is_stop = False  # whether a signal has stopped the other worker
        self._is_lost, self._is_taken, self._is_over = (threading.Event() for _ in range(3))
        self._thread = threading.Thread(target=self._run, name="workers", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._is_over.set()
        self._thread.join()
        for channel in self._channels():
            channel.flush(1)
            channel.close()

    def reason(self, seconds: float) -> str | None:
        """Returns which worker is lost and why, as soon as it is known; then the caller ends."""
        self._is_lost.wait(seconds)
        self._is_taken.set()
        return self._reason

    def leave(self, error: BaseException | None = None) -> None:
        """Informs the others that this worker is done, or why it ends."""
        self._is_over.set()
        self._thread.join()
        for channel in self._channels():
            if error is None or isinstance(error, signals.Preempted):
                channel.send(left="done")
            elif isinstance(error, signals.Stopped):
                channel.send(left="stopped", why=str(error))
            else:
                channel.send(left="failed", why=problems.as_flags(error).partition("\n")[0][:1000])

    def _channels(self) -> list[Channel]:
        return [channel for channels in self._links.values() for channel in channels]

    def _run(self) -> None:
        next_sign = time.monotonic()
        # Not at each message: of thousands of workers, one would always have just arrived.
        while self._links and not self._is_over.wait(min(_POLL, self._interval / 2)):
            for task, channels in list(self._links.items()):
                if reason := self._state_of(task, channels):
                    self._end(reason)
                    return
            if time.monotonic() >= next_sign:
                next_sign = time.monotonic() + self._interval
                for channel in self._channels():
                    channel.send()

    def _state_of(self, task: int, channels: list[Channel]) -> str | None:
        """Returns why a worker is lost, or None if it is not; it may also have finished."""
        name = f"worker {task} ({self._cluster.hosts[task]})"
        for message in [message for channel in channels for message in channel.receive()]:
            why = _json.printable(str(message.get("why", "")))
            if "lost" in message:
                self.is_stop = bool(message.get("is_stop"))
                return str(message["lost"])
            if message.get("left") == "done":
                for channel in self._links.pop(task):
                    channel.close()
                return None
            if message.get("left") == "stopped":
                self.is_stop = True
                return f"{name} was {why}. {self._advice}"
            if message.get("left") == "failed":
                return f"{name} failed: {why}"
        if not all(channel.is_open for channel in channels):
            return f"{name} ended, or its connection was closed. {self._advice}"
        silent = time.monotonic() - min(channel.heard for channel in channels)
        if silent > self._timeout * _MOST_SILENT:
            state = f"has not responded for {silent:.0f} s: it hangs or is cut off"
            return f"{name} {state}. {self._advice}"
        return None

    def _end(self, reason: str) -> None:
        self._reason = reason
        for channel in self._channels():
            channel.send(lost=reason, is_stop=self.is_stop)
        self._is_lost.set()
        time.sleep(self._grace)
        if self._is_over.is_set() or self._is_taken.is_set():
            return
        end_at_once(reason, signals.EXIT_CODE if self.is_stop else 1)
