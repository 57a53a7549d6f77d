"""A parameter server, or a worker of parameter servers: it computes what the coordinator asks for,
until that ends."""

import atexit
import math
import time
from collections.abc import Callable, Mapping
from typing import Any

from classifier.cluster import facts, interfaces
from classifier.cluster.channel import Channel, wait_for
from classifier.cluster.coordinator import (
    PROTOCOL,
    SIGN_SECONDS,
    describe,
    exit_code,
)
from classifier.cluster.side import POLL_SECONDS, RESUME, Side, leave_at_once, listening
from classifier.config.training import TrainConfig
from classifier.resolve.cluster import Cluster
from slim import _checks, _json, signals

_GRACE = 15.0  # seconds after a signal, in which the coordinator may end the job


def serve(cluster: Cluster, config: TrainConfig, start: Callable[[], object]) -> None:
    """Serves until the coordinator ends, or a signal arrives.

    After a signal, a worker serves a little longer: the coordinator may have received it too, and
    then saves. A parameter server lets the coordinator save and end, and serves until then.

    Args:
      cluster: the processes.
      config: options, the same as the coordinator's.
      start: returns TensorFlow's server at this process's address.

    Raises:
      UserError: if they differ, or this machine has a public address.
      RunError: if this process cannot listen at its address, the coordinator is missing, or ended
        by an error. Preempted: after a signal.
    """
    options = config.strategy
    interfaces.check(options.allow_public_bind)
    with listening(cluster):
        pass  # the address is free, or this has raised
    server = start()
    signals.renew()
    try:
        with signals.stop_on_signals() as stop:
            own = facts.of_servers(config)
            with _Server(cluster, own, options.worker_timeout_secs, None, stop=stop) as one:
                one.run()
    except BaseException as error:
        atexit.register(leave_at_once, exit_code(error))
        raise
    finally:
        del server


class _Server(Side):
    """This process's side of the connection to the coordinator."""

    def __init__(self, *arguments: Any, stop: signals.StopRequest) -> None:
        super().__init__(*arguments)
        self._stop = stop

    def run(self) -> None:
        """Returns when the coordinator is done."""
        channel = self._connected()
        print(f"{describe(self.cluster)}: serving", flush=True)
        is_stopping, next_sign, deadline = False, 0.0, math.inf
        while True:
            wait_for([channel], POLL_SECONDS)
            for message in channel.receive():
                if "left" in message:
                    return _end(message)
            now = time.monotonic()
            if not channel.is_open:
                raise _checks.RunError(f"the coordinator ended. {RESUME}")
            if now - channel.heard > self.timeout:
                raise _checks.RunError(
                    f"the coordinator has not responded for {self.timeout:g} s. {RESUME}"
                )
            if now >= next_sign:
                next_sign = now + SIGN_SECONDS
                channel.send()
            if self._stop and not is_stopping:
                is_stopping = True
                if self.cluster.job(self.cluster.task)[0] == "ps":
                    channel.send(stopped=True)
                else:
                    deadline = now + _GRACE
            if now > deadline:
                raise self._stopped()

    def _connected(self) -> Channel:
        """Returns a connection to the coordinator, which has accepted this process."""
        while not self._stop:
            try:
                channel = self.connect(0)
            except OSError as error:
                self.report(f"the coordinator cannot be reached: {error.strerror or error}")
                time.sleep(POLL_SECONDS)
                continue
            if self._is_accepted(channel):
                return channel
            channel.close()
        raise self._stopped()

    def _is_accepted(self, channel: Channel) -> bool:
        hosts = list(self.cluster.hosts)
        channel.send(protocol=PROTOCOL, task=self.cluster.task, hosts=hosts, facts=self.facts)
        while channel.is_open and not self._stop:
            wait_for([channel], POLL_SECONDS)
            for message in channel.receive():
                if "refused" in message:
                    raise _checks.UserError(str(message["refused"]))
                if "start" in message:
                    return True
            self.report("the coordinator does not answer")
        return False

    def _stopped(self) -> signals.Preempted:
        name = self._stop.signal.name if self._stop.signal else "a signal"
        return signals.Preempted(f"{describe(self.cluster)}: stopped by {name}")


def _end(message: Mapping[str, Any]) -> None:
    """Raises what the coordinator ended by, unless it was done."""
    why = _json.printable(str(message.get("why", "")))
    if message["left"] == "stopped":
        raise signals.Preempted(f"the coordinator was {why}")
    if message["left"] == "failed":
        raise _checks.RunError(f"the coordinator failed: {why}")
