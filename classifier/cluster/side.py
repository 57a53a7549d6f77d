"""What worker 0 and the other workers have in common when they meet."""

import contextlib
import errno
import ipaddress
import os
import socket
import sys
import time
from collections.abc import Iterator
from typing import Any, Self

from classifier.cluster.channel import Channel, wait_for
from classifier.cluster.facts import Facts
from classifier.config.problems import Problem, named
from classifier.resolve.cluster import Cluster
from slim import _checks, _json

PROTOCOL = "slim workers 1"
CONNECT_SECONDS = 3.0
POLL_SECONDS = 0.5
_REPORT_SECONDS = 60.0
RESUME = "The last checkpoint is intact; the same commands resume from it"

Links = dict[int, list[Channel]]


class Side:
    """A worker that meets the others."""

    def __init__(
        self, cluster: Cluster, facts: Facts, timeout: float, listener: socket.socket
    ) -> None:
        self.cluster, self.facts, self.listener = cluster, facts, listener
        self.opened: list[Channel] = []
        self.strangers: list[Channel] = []  # connected, but not heard from
        self.timeout = timeout
        now = time.monotonic()
        self.deadline, self._next_report = now + timeout, now + _REPORT_SECONDS

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        """Closes all connections."""
        for channel in self.opened:
            channel.close()

    def wait(self, *channels: Channel) -> None:
        """Waits a moment for connections and messages."""
        wait_for([self.listener, *(each for each in channels if each.is_open)], POLL_SECONDS)

    def accept(self) -> Channel | None:
        """Returns a new connection from another worker, if there is one."""
        try:
            return self._opened(self.listener.accept()[0])
        except OSError:
            return None

    def greetings(self) -> Iterator[tuple[Channel, dict[str, Any]]]:
        """Yields new connections with their first message."""
        while (channel := self.accept()) is not None:
            self.strangers.append(channel)
        for channel in list(self.strangers):
            messages = channel.receive()
            if messages:
                self.strangers.remove(channel)
                yield channel, messages[0]
            elif not channel.is_open:
                self.strangers.remove(channel)
                channel.close()

    def connect(self, task: int) -> Channel:
        """Returns a new connection to a worker."""
        place = split(self.cluster.hosts[task])
        return self._opened(socket.create_connection(place, CONNECT_SECONDS))

    def _opened(self, connection: socket.socket) -> Channel:
        channel = Channel(connection)
        self.opened.append(channel)
        return channel

    def report(self, problem: str) -> None:
        """Prints what is missing once a minute; after the timeout, raises it."""
        now = time.monotonic()
        if now >= self.deadline:
            raise self.missing(problem)
        if now >= self._next_report:
            self._next_report = now + _REPORT_SECONDS
            print(f"{self.cluster.own_name}: still waiting: {problem}", flush=True)

    def missing(self, problem: str) -> _checks.RunError:
        """Returns the error of a worker that did not come."""
        limit = named("worker_timeout_secs", f"{self.timeout:g}")
        return _checks.RunError(Problem("{} ({}). No work was lost", problem, limit))

    def name(self, task: int) -> str:
        """Returns `worker 1 (host:port)`."""
        return f"worker {task} ({self.cluster.hosts[task]})"


@contextlib.contextmanager
def listening(cluster: Cluster) -> Iterator[socket.socket]:
    """Yields a socket that listens at this worker's address.

    Of a numeric address, on that interface. A name may stand for another address on this machine
    than on the others, or for none yet, so it means all interfaces; TensorFlow's server will listen
    on these too.
    """
    address = cluster.hosts[cluster.task]
    try:
        listener = _bound(*split(address))
    except OSError as error:
        raise _checks.RunError(
            f"{cluster.own_name} cannot listen at {address}: {os.strerror(error.errno or 0)}."
            " Stop the program that does, or choose another port"
        ) from None
    with listener:
        listener.listen(len(cluster.hosts) + 8)
        listener.setblocking(False)
        yield listener


def _bound(host: str, port: int) -> socket.socket:
    try:
        version = ipaddress.ip_address(host).version
        return socket.create_server(
            (host, port), family=socket.AF_INET6 if version == 6 else socket.AF_INET
        )
    except ValueError:
        pass
    except OSError as error:
        if error.errno != errno.EADDRNOTAVAIL:  # else it belongs to a router before this machine
            raise
    if socket.has_dualstack_ipv6():
        return socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True)
    return socket.create_server(("", port))


def split(address: str) -> tuple[str, int]:
    """Returns host and port of an address."""
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)


def leave_at_once(code: int) -> None:
    """Ends the process; TensorFlow would first wait for the others."""
    for stream in filter(None, (sys.stdout, sys.stderr)):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


def end_at_once(reason: str, code: int) -> None:
    """Ends the process from a thread, with a line on stderr; the main thread may be blocked."""
    program = os.path.basename(sys.argv[0])
    with contextlib.suppress(OSError):
        os.write(2, f"{program}: {_json.printable(reason)}\n".encode())
    os._exit(code)
