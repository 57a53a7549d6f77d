"""A worker other than worker 0 when the workers meet."""

import time

from classifier.cluster.channel import Channel
from classifier.cluster.side import POLL_SECONDS, PROTOCOL, Links, Side
from slim import _checks


class Other(Side):
    """Another worker: it connects to worker 0 and follows its answers."""

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
            time.sleep(POLL_SECONDS)

    def _follow(self, channel: Channel) -> Links | None:
        """Returns the connections, or None if worker 0 ended."""
        self.strangers = []
        self._links: Links = {0: [channel]}
        self._round, self._acknowledged, self._round_of_previous = 0, 0, 0
        self._is_linked = False
        task, hosts = self.cluster.task, list(self.cluster.hosts)
        channel.send(protocol=PROTOCOL, task=task, hosts=hosts, facts=self.facts)
        problem = f"{self.name(0)} does not answer"
        while channel.is_open:
            self.wait(channel, *self.strangers, *self._links.get(task + 1, []))
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
                channel.send(expired=problem)
                raise
        return None

    def _answer_strangers(self) -> None:
        """Accepts the connections of worker 0 and of the previous worker."""
        task = self.cluster.task
        for stranger, message in self.greetings():
            if message.get("back") == task:
                self._links[0][1:] = [stranger]
            elif message.get("neighbor") == task - 1:
                self._links[task - 1] = [stranger]
                self._round_of_previous = message.get("round", 0)
            else:
                continue
            stranger.send(here=task)

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
