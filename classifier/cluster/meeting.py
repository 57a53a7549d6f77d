"""Meeting of the workers before the first step, at the addresses of their TensorFlow servers."""

import contextlib
import errno
import math
import resource
import socket
import time
from collections.abc import Iterator
from typing import Any

from classifier.cluster.channel import Channel, wait_for
from classifier.cluster.facts import Facts, differences
from classifier.config.problems import Problem, as_flags, named
from classifier.resolve.cluster import Cluster
from slim import _checks, _json

_PROTOCOL = "slim workers 1"
_POLL = 0.5  # seconds
_CONNECT = 3.0
_REPORT = 60.0
_MORE_ARRIVALS = 10.0  # seconds to collect further differences
_OWN_TASK = f"start each worker with its own {named('task').as_flags}"

Links = dict[int, list[Channel]]


def meet(cluster: Cluster, facts: Facts, timeout: float) -> Links:
    """Waits until all workers are here and agree.

    Args:
      cluster: the workers.
      facts: what has to be the same for all.
      timeout: maximum seconds to wait.

    Returns:
      open connections: of worker 0 to each other worker, of another worker to worker 0 and to its
      neighbors in the ring in which TensorFlow passes gradients.

    Raises:
      UserError: if the workers differ.
      RunError: if the address of this worker is in use, or another worker is missing.
    """
    _raise_file_limit(3 * len(cluster.hosts) + 512)
    with _listening(cluster) as listener:
        meeting = (_Worker if cluster.task else _Chief)(cluster, facts, timeout, listener)
        links: Links = {}
        try:
            links = meeting.meet()
        finally:
            kept = {id(channel) for channels in links.values() for channel in channels}
            for channel in meeting.opened:
                if id(channel) not in kept:
                    channel.close()
        return links


def _raise_file_limit(count: int) -> None:
    """Lets this process open more connections, as far as the system allows it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = count if hard == resource.RLIM_INFINITY else min(count, hard)
    if soft != resource.RLIM_INFINITY and soft < limit:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))


@contextlib.contextmanager
def _listening(cluster: Cluster) -> Iterator[socket.socket]:
    """Yields a socket that listens at this worker's address, on the interface that it names."""
    address = cluster.hosts[cluster.task]
    host, port = split(address)
    try:
        family, *_, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except OSError as error:
        raise _checks.RunError(
            f"worker {cluster.task}: its own address {address} is unknown here: {error.strerror}"
        ) from None
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            try:
                listener.bind(place)
            except OSError as error:
                if error.errno != errno.EADDRNOTAVAIL:
                    raise
                listener.bind(
                    ("", port)
                )  # the address belongs to a router in front of this machine
            listener.listen(len(cluster.hosts) + 8)
        except OSError as error:
            raise _checks.RunError(
                f"worker {cluster.task} cannot listen at {address}: {error.strerror}. Stop the"
                " program that does, or choose another port"
            ) from None
        listener.setblocking(False)
        yield listener


def split(address: str) -> tuple[str, int]:
    """Returns host and port of an address."""
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)


class _Meeting:
    """What both sides have in common."""

    def __init__(
        self, cluster: Cluster, facts: Facts, timeout: float, listener: socket.socket
    ) -> None:
        self.cluster, self.facts, self.listener = cluster, facts, listener
        self.opened: list[Channel] = []
        self._timeout = timeout
        now = time.monotonic()
        self.deadline, self._next_report = now + timeout, now + _REPORT

    def wait(self, *channels: Channel) -> None:
        """Waits a moment for connections and messages."""
        wait_for([self.listener, *(each for each in channels if each.is_open)], _POLL)

    def accept(self) -> Channel | None:
        """Returns a new connection from another worker, if there is one."""
        try:
            return self._opened(self.listener.accept()[0])
        except OSError:
            return None

    def connect(self, task: int) -> Channel:
        """Returns a new connection to a worker."""
        place = split(self.cluster.hosts[task])
        return self._opened(socket.create_connection(place, _CONNECT))

    def _opened(self, connection: socket.socket) -> Channel:
        channel = Channel(connection)
        self.opened = [each for each in self.opened if each.fileno() >= 0] + [channel]
        return channel

    def report(self, problem: str) -> None:
        """Prints what is missing once a minute; after the timeout, raises it."""
        now = time.monotonic()
        if now >= self.deadline:
            raise self.missing(problem)
        if now >= self._next_report:
            self._next_report = now + _REPORT
            print(f"worker {self.cluster.task}: still waiting: {problem}", flush=True)

    def missing(self, problem: str) -> _checks.RunError:
        """Returns the error of a worker that did not come."""
        limit = named("worker_timeout_secs", f"{self._timeout:g}")
        return _checks.RunError(Problem("{} ({}). No step was trained", problem, limit))

    def name(self, task: int) -> str:
        """Returns `worker 1 (host:port)`."""
        return f"worker {task} ({self.cluster.hosts[task]})"


class _Chief(_Meeting):
    """Worker 0: the others come to it, and it compares them."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._others = range(1, len(self.cluster.hosts))
        self._strangers: list[Channel] = []
        self._arrived: dict[int, Channel] = {}
        self._facts: dict[int, Facts] = {0: self.facts}
        self._back: dict[int, Channel] = {}
        self._reached: set[int] = set()
        self._unreachable: dict[int, str] = {}
        self._round = 0  # of connecting neighbors; a new one if a worker was started again
        self._linked: set[int] = set()
        self._is_linking = False
        self._not_linked: dict[int, str] = {}
        self._next_dial = 0.0
        self._compare_at = math.inf
        self._notified: dict[int, str] = {}

    def meet(self) -> Links:
        """Returns the connections when all workers are here, equal and reachable."""
        try:
            while len(self._linked) < len(self._others):
                self.wait(*self._strangers, *self._arrived.values(), *self._back.values())
                self._receive()
                self._compare()
                self._dial_back()
                self._link_neighbors()
                if problem := self._problem():
                    self._notify(problem)
                    self.report(problem)
        except _checks.UserError as error:
            self._end(refused=str(error))
            raise
        except _checks.RunError as error:
            self._end(ended=as_flags(error))
            raise
        self.listener.close()  # TensorFlow's server listens here from now on
        for channel in self._arrived.values():
            channel.send(start=True)
        return {task: [self._arrived[task], self._back[task]] for task in self._others}

    def _problem(self) -> str:
        absent = [self.name(task) for task in self._others if task not in self._arrived]
        if absent:
            names = _checks.listed(absent, 4)
            return f"{names} did not start or cannot reach {self.name(0)}"
        for task in self._others:
            if task not in self._reached:
                why = self._unreachable.get(task, "no answer")
                return f"{self.name(task)} cannot be reached at its address: {why}"
        pending = [task for task in self._others if task not in self._linked]
        reasons = [self._not_linked[task] for task in pending if task in self._not_linked]
        defaults = [f"{self.name(task)} is not connected to its neighbors" for task in pending]
        return (reasons + defaults or [""])[0]

    def _link_neighbors(self) -> None:
        if len(self._reached) == len(self._others) and not self._is_linking:
            self._is_linking = True
            self._round += 1
            for channel in self._arrived.values():
                channel.send(neighbors=self._round)

    def _notify(self, problem: str) -> None:
        for task, channel in self._arrived.items():
            if self._notified.get(task) != problem:
                self._notified[task] = problem
                channel.send(waiting=problem)

    def _receive(self) -> None:
        while (channel := self.accept()) is not None:
            self._strangers.append(channel)
        for channel in list(self._strangers):
            messages = channel.receive()
            if messages or not channel.is_open:
                self._strangers.remove(channel)
                if messages:
                    self._greet(channel, messages[0])
                else:
                    channel.close()
        for task, channel in list(self._back.items()):
            if any(message.get("here") == task for message in channel.receive()):
                self._reached.add(task)
            elif not channel.is_open:
                self._unreachable[task] = "another program is there"
                self._forget(task, self._back)
        for task, channel in list(self._arrived.items()):
            messages = channel.receive()
            for message in messages:
                if message.get("linked") == self._round:
                    self._linked.add(task)
                if "problem" in message:
                    self._not_linked[task] = str(message["problem"])
            if any("expired" in message for message in messages):
                self.deadline = 0.0  # all end with the first
            elif not channel.is_open:  # it may be started again
                self._forget(task, self._back, self._arrived, self._facts, self._notified)

    def _forget(self, task: int, *tables: dict[int, Any]) -> None:
        self._reached.discard(task)
        self._linked.clear()
        self._is_linking = False
        for table in tables:
            entry = table.pop(task, None)
            if isinstance(entry, Channel):
                entry.close()

    def _greet(self, channel: Channel, message: dict[str, Any]) -> None:
        """Takes a worker in, or tells it why not."""
        task, hosts, facts = (message.get(name) for name in ("task", "hosts", "facts"))
        if message.get("protocol") != _PROTOCOL or not isinstance(facts, dict):
            problem = "worker 0 runs another version of slim"
        elif hosts != list(self.cluster.hosts):
            problem = (
                f"the workers' addresses differ: {','.join(self.cluster.hosts)} on worker 0,"
                f" {_json.printable(str(hosts))} on worker {_json.printable(str(task))}"
            )
        elif task not in self._others or task in self._arrived:
            problem = f"worker {_json.printable(str(task))} was already started; {_OWN_TASK}"
        else:
            self._arrived[task], self._facts[task] = channel, facts
            return
        channel.send(refused=problem)
        channel.flush(_CONNECT)
        channel.close()

    def _compare(self) -> None:
        if all(facts == self.facts for facts in self._facts.values()):
            self._compare_at = math.inf
            return
        now = time.monotonic()
        self._compare_at = min(self._compare_at, now + _MORE_ARRIVALS)
        if len(self._arrived) == len(self._others) or now >= self._compare_at:
            lines = differences(self._facts)
            raise _checks.UserError("\n".join(f"the workers differ: {line}" for line in lines))

    def _dial_back(self) -> None:
        """Connects to the workers' addresses, which TensorFlow will use."""
        now = time.monotonic()
        absent = [task for task in self._arrived if task not in self._back]
        for task in absent if now >= self._next_dial else ():
            self._next_dial = now + 1
            try:
                channel = self.connect(task)
            except OSError as error:
                self._unreachable[task] = error.strerror or str(error)
                continue
            channel.send(back=task)
            self._back[task] = channel

    def _end(self, **message: Any) -> None:
        for channel in self._arrived.values():
            channel.send(**message)
            channel.flush(_CONNECT)


class _Worker(_Meeting):
    """Another worker: it goes to worker 0 and does as it answers."""

    def meet(self) -> Links:
        """Returns the connections when worker 0 starts the job."""
        while True:
            problem = f"{self.name(0)} ended, or another program is at its address"
            try:
                channel = self.connect(0)
            except OSError as error:
                problem = f"{self.name(0)} cannot be reached: {error.strerror or error}"
            else:
                links = self._follow(channel)
                if links:
                    return links
                channel.close()
            self.report(problem)
            time.sleep(_POLL)

    def _follow(self, channel: Channel) -> Links | None:
        """Returns the connections, or None if worker 0 ended."""
        self._strangers: list[Channel] = []
        self._links: Links = {0: [channel]}
        self._round, self._acknowledged, self._round_of_previous = 0, 0, 0
        self._is_linked = False
        task, hosts = self.cluster.task, list(self.cluster.hosts)
        channel.send(protocol=_PROTOCOL, task=task, hosts=hosts, facts=self.facts)
        problem = f"{self.name(0)} does not answer"
        while channel.is_open:
            self.wait(channel, *self._strangers, *self._links.get(task + 1, []))
            self._answer_strangers()
            for message in channel.receive():
                if "refused" in message:
                    raise _checks.UserError(str(message["refused"]))
                if "ended" in message:
                    raise _checks.RunError(str(message["ended"]))
                if "start" in message:
                    self.listener.close()
                    return self._links
                if "neighbors" in message:
                    self._round, self._is_linked = int(message["neighbors"]), False
                    self._links.pop(task + 1, None)
                problem = str(message.get("waiting", problem))
            self._link(channel)
            try:
                self.report(problem)
            except _checks.RunError:
                channel.send(expired=True)
                raise
        return None

    def _answer_strangers(self) -> None:
        """Takes the connections of worker 0 and of the previous worker."""
        task = self.cluster.task
        while (stranger := self.accept()) is not None:
            self._strangers.append(stranger)
        for stranger in list(self._strangers):
            for message in stranger.receive()[:1]:
                self._strangers.remove(stranger)
                if message.get("back") == task:
                    self._links[0][1:] = [stranger]
                elif message.get("neighbor") == task - 1:
                    self._links[task - 1] = [stranger]
                    self._round_of_previous = message.get("round", 0)
                else:
                    continue
                stranger.send(here=task)
            if not stranger.is_open and stranger in self._strangers:
                self._strangers.remove(stranger)

    def _link(self, channel: Channel) -> None:
        """Connects to the next worker, and reports when both neighbors are connected."""
        task, after = self.cluster.task, self.cluster.task + 1
        if not self._round or self._is_linked:
            return
        has_next = after == len(self.cluster.hosts)
        if not has_next and after not in self._links:
            try:
                self._links[after] = [self.connect(after)]
            except OSError as error:
                reason = error.strerror or str(error)
                channel.send(problem=f"{self.name(task)} cannot reach {self.name(after)}: {reason}")
                return
            self._links[after][0].send(neighbor=task, round=self._round)
        if not has_next:
            has_next = any(each.get("here") == after for each in self._links[after][0].receive())
        if has_next:
            self._acknowledged = self._round
        is_previous = task == 1 or self._round_of_previous == self._round
        if self._acknowledged == self._round and is_previous:
            self._is_linked = True
            channel.send(linked=self._round)
