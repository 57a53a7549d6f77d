"""Worker 0 when the workers meet."""

import math
import time
from typing import Any

from classifier.cluster.channel import Channel
from classifier.cluster.facts import Facts, differences
from classifier.cluster.side import CONNECT_SECONDS, PROTOCOL, Links, Side
from classifier.config.problems import as_flags, named
from slim import _checks, _json

_MORE_ARRIVALS = 10.0  # seconds to collect further differences
_OWN_TASK = f"start each worker with its own {named('task').as_flags}"


class Chief(Side):
    """Worker 0, to which the others connect: it compares them and starts the job."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._others = range(1, len(self.cluster.hosts))
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
                self.wait(*self.strangers, *self._arrived.values(), *self._back.values())
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
        for channel, message in self.greetings():
            self._greet(channel, message)
        for task in list(self._arrived):
            self._read(task)
        for task, channel in list(self._back.items()):
            if any(message.get("here") == task for message in channel.receive()):
                self._reached.add(task)
            elif not channel.is_open:
                self._unreachable[task] = "another program is there"
                self._forget(task, self._back)

    def _read(self, task: int) -> None:
        """Reads the messages of a worker, and forgets it if it has ended."""
        channel = self._arrived[task]
        for message in channel.receive():
            if message.get("linked") == self._round:
                self._linked.add(task)
            if "problem" in message:
                self._not_linked[task] = str(message["problem"])
            if problem := message.get("expired"):  # all end with the first
                raise self.missing(str(problem))
        if not channel.is_open:  # it may be started again
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
        """Accepts a worker, or sends it the reason why not."""
        task, hosts, facts = (message.get(name) for name in ("task", "hosts", "facts"))
        if isinstance(task, int) and task in self._arrived:
            self._read(task)  # it may have ended just now
        if message.get("protocol") != PROTOCOL or not isinstance(facts, dict):
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
        channel.flush(CONNECT_SECONDS)
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
            channel.flush(CONNECT_SECONDS)
