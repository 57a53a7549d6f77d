"""What runs next to the steps of a session: queues, and at intervals summaries and checkpoints.

The supervisor's own threads cannot be used for the latter: they read the step eagerly unless eager
execution is disabled.
"""

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from slim.graph.synchronous import Synchronous

v1 = tf.compat.v1


class Services:
    """The threads of a session.

    Args:
      supervisor: of the session.
      graph: of the session.
      synchronous: what synchronous optimizers need.
      delay: number of steps of the other workers to wait for.
      summary_secs: seconds between summaries; 0 disables.
      checkpoint_secs: seconds between checkpoints; 0 disables.
    """

    def __init__(
        self,
        supervisor: v1.train.Supervisor,
        graph: tf.Graph,
        synchronous: Synchronous,
        delay: int,
        summary_secs: float,
        checkpoint_secs: float,
    ) -> None:
        self._supervisor = supervisor
        self._graph = graph
        self._synchronous = synchronous
        self._delay = delay
        self._summary_secs = summary_secs
        self._checkpoint_secs = checkpoint_secs
        self._last = 0.0, 0  # time and step
        self._queue_threads: Sequence[Any] = []
        self._saving = threading.Lock()

    def start(self, session: v1.Session) -> None:
        """Waits for the other workers, then starts the threads."""
        while self._delay and self._step(session) < self._delay:
            time.sleep(1)
        if self._summary_secs or self._checkpoint_secs:
            self._start_actions(session)
        self._queue_threads = self._supervisor.start_queue_runners(session)
        self._synchronous.start(self._supervisor, session)

    def finish(self, session: v1.Session, ignore_live_threads: bool) -> None:
        """Writes the last checkpoint and ends the threads; the session closes the event file."""
        self.save(session)
        self._supervisor.stop(self._queue_threads, False, ignore_live_threads)

    def _start_actions(self, session: v1.Session) -> None:
        self._supervisor.start_standard_services(session)  # logs the start
        self._last = time.time(), self._step(session)
        actions: list[tuple[float, Callable[[v1.Session], None]]] = []
        if self._supervisor.summary_writer is not None:
            if self._supervisor.summary_op is not None:
                actions.append((self._summary_secs, self.write_summaries))
            actions.append((self._summary_secs, self.write_speed))
        actions.append((self._checkpoint_secs, self.save))
        for seconds, action in actions:
            if seconds:
                self._supervisor.loop(seconds, self._in_graph, args=(action, session))

    def write_summaries(self, session: v1.Session) -> None:
        """Writes the graph's summaries."""
        summary = session.run(self._supervisor.summary_op)
        self._supervisor.summary_writer.add_summary(summary, self._step(session))

    def write_speed(self, session: v1.Session) -> None:
        """Writes the steps per second since the last time."""
        before, self._last = self._last, (time.time(), self._step(session))
        seconds, steps = (now - then for now, then in zip(self._last, before, strict=True))
        value = v1.Summary.Value(tag="global_step/sec", simple_value=steps / max(seconds, 1e-9))
        self._supervisor.summary_writer.add_summary(v1.Summary(value=[value]), self._last[1])

    def save(self, session: v1.Session) -> None:
        """Writes a checkpoint."""
        supervisor = self._supervisor
        # Else one that began earlier may end later, and be the newest of the state file.
        with self._saving:
            supervisor.saver.save(session, supervisor.save_path, supervisor.global_step)
        if supervisor.summary_writer is not None:
            log = v1.SessionLog(
                status=v1.SessionLog.CHECKPOINT, checkpoint_path=supervisor.save_path
            )
            supervisor.summary_writer.add_session_log(log, self._step(session))

    def _in_graph(self, action: Callable[[v1.Session], None], session: v1.Session) -> None:
        with self._graph.as_default():  # a new thread has none
            action(session)

    def _step(self, session: v1.Session) -> int:
        return v1.train.global_step(session, self._supervisor.global_step)
