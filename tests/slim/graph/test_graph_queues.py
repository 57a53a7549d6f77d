"""`slim.queues.QueueRunners` starts and stops the queue runners of a session's graph."""

import contextlib
import threading

import pytest
import tensorflow as tf

from slim import queues

v1 = tf.compat.v1


def numbers():
    """Returns a dequeue op of a queue that a queue runner fills with 0, 1, 2, ..."""
    counter = v1.Variable(-1, trainable=False, use_resource=True)
    queue = v1.FIFOQueue(2, [tf.int32], [[]])
    enqueue = queue.enqueue([counter.assign_add(1)])
    v1.train.add_queue_runner(v1.train.QueueRunner(queue, [enqueue]))
    return queue.dequeue()


def new_session():
    """Returns a session and a dequeue op of its graph."""
    with tf.Graph().as_default():
        number = numbers()
        session = v1.Session()
        session.run(v1.global_variables_initializer())
    return session, number


def test_runners_start_and_stop():
    session, number = new_session()
    before = threading.active_count()
    with queues.QueueRunners(session):
        assert [session.run(number) for _ in range(3)] == [0, 1, 2]
    assert threading.active_count() <= before


def test_nested_runners_are_refused_and_an_error_ends_them():
    session, number = new_session()
    with contextlib.suppress(ZeroDivisionError), queues.QueueRunners(session):
        inner = queues.QueueRunners(session)
        with pytest.raises(
            queues.NestedQueueRunnerError, match="cannot be nested; leave the outer"
        ):
            inner.__enter__()
        _ = 1 / 0
    session, number = new_session()
    with queues.QueueRunners(session):
        assert session.run(number) == 0


def test_a_thread_that_does_not_end_closes_the_session(monkeypatch):
    session, number = new_session()

    def stuck(self, threads, **options):
        raise RuntimeError("threads are still running")

    monkeypatch.setattr(tf.train.Coordinator, "join", stuck)
    with queues.QueueRunners(session):
        session.run(number)
    with pytest.raises(RuntimeError, match="closed Session"):
        session.run(number)
