"""Runs the queue runners of a session's graph, as `tf.compat.v1.train.batch` needs.

```python
with tf.compat.v1.Session() as session, slim.queues.QueueRunners(session):
    print(session.run(images))
```

Outside a graph there are no queues: iterate over a `tf.data.Dataset`.
"""

import contextlib
import threading
from collections.abc import Iterator

import tensorflow as tf

__all__ = ["NestedQueueRunnerError", "QueueRunners"]

_running = threading.Lock()
GRACE_SECONDS = 120  # for the threads to end


class NestedQueueRunnerError(Exception):
    """The queue runners are running already."""


@contextlib.contextmanager
def QueueRunners(session: tf.compat.v1.Session) -> Iterator[None]:
    """Starts the threads of all queue runners of the session's graph, and stops them at the end.

    A thread that does not end because its queue is full is ended by closing the session.

    Args:
      session: the session in which the threads run.

    Yields:
      Nothing.

    Raises:
      NestedQueueRunnerError: inside another `QueueRunners`, also of another thread.
    """
    if not _running.acquire(blocking=False):
        raise NestedQueueRunnerError("QueueRunners cannot be nested; leave the outer one first")
    try:
        coordinator = tf.train.Coordinator()
        runners = session.graph.get_collection(tf.compat.v1.GraphKeys.QUEUE_RUNNERS)
        threads = [
            thread
            for runner in runners
            for thread in runner.create_threads(session, coord=coordinator, daemon=True, start=True)
        ]
        try:
            yield
        finally:
            coordinator.request_stop()
            try:
                coordinator.join(threads, stop_grace_period_secs=GRACE_SECONDS)
            except RuntimeError:
                session.close()
    finally:
        _running.release()
