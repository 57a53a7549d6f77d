"""`slim.learning.train` in a plain graph: steps in a session, saved, resumed, logged and traced."""

import json
import logging
import os
import time
import types

import numpy as np
import pytest
import tensorflow as tf

import slim
from slim import learning
from slim.graph import services
from slim.graph.synchronous import Synchronous
from tests.slim.graph import line_fit

v1 = tf.compat.v1
RATE = 0.1


def train(logdir, steps, optimizer=None, **arguments):
    """Trains the line in a new graph; returns the last loss."""
    with tf.Graph().as_default():
        loss = line_fit.build()
        v1.summary.scalar("loss", loss)
        train_op = learning.create_train_op(
            loss, optimizer or v1.train.GradientDescentOptimizer(RATE)
        )
        logdir = logdir and str(logdir)
        return learning.train(train_op, logdir, number_of_steps=steps, **arguments)


def expected_loss(steps):
    return pytest.approx(line_fit.descend(steps, RATE)[0][-1], rel=1e-4)


def test_training_resumes_from_its_directory(tmp_path):
    assert train(tmp_path, 3) == expected_loss(3)
    assert train(tmp_path, 5) == expected_loss(5)
    reader = slim.checkpoints.read(str(tmp_path / "model.ckpt-5"))
    assert reader.get("global_step") == 5
    _, slope, offset = line_fit.descend(5, RATE)
    actual = [reader.get(f"line/{name}") for name in ("slope", "offset")]
    assert actual == pytest.approx([slope, offset], rel=1e-4)
    assert [name for name in os.listdir(tmp_path) if name.startswith("events")]


def test_devices_that_do_not_exist_are_replaced_unless_the_session_is_configured():
    def on_gpu_7(**arguments):
        with tf.Graph().as_default(), tf.device("/gpu:7"):
            optimizer = v1.train.GradientDescentOptimizer(RATE)
            train_op = learning.create_train_op(line_fit.build(), optimizer)
            return learning.train(train_op, None, number_of_steps=4, **arguments)

    assert on_gpu_7() == expected_loss(4)
    with pytest.raises(tf.errors.InvalidArgumentError, match="assign a device"):
        on_gpu_7(session_config=v1.ConfigProto())


def test_without_a_directory_nothing_is_saved(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert train(None, 4) == expected_loss(4)
    assert not os.listdir(tmp_path)


def test_a_graph_may_be_trained_from_outside():
    with tf.Graph().as_default():
        train_op = learning.create_train_op(
            line_fit.build(), v1.train.GradientDescentOptimizer(RATE)
        )
    assert learning.train(train_op, None, number_of_steps=2) == expected_loss(2)


def test_init_fn_is_called_with_the_session_of_a_new_run(tmp_path):
    calls = []

    def init_fn(session):
        calls.append(session)
        session.run(v1.global_variables()[0].initializer)

    for steps in (1, 2):
        train(tmp_path, steps, init_fn=init_fn)
    assert len(calls) == 1
    assert isinstance(calls[0], v1.Session)


def test_the_loss_is_logged(tmp_path):
    lines = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())
    logger = logging.getLogger("tensorflow")
    before = v1.logging.get_verbosity()
    logger.addHandler(handler)
    v1.logging.set_verbosity(v1.logging.INFO)
    try:
        train(None, 4, log_every_n_steps=2)
    finally:
        logger.removeHandler(handler)
        v1.logging.set_verbosity(before)
    steps = [line for line in lines if line.startswith("global step")]
    assert len(steps) == 2
    assert all("sec/step)" in line for line in steps)


def test_traces_are_timelines_of_operations(tmp_path):
    train(tmp_path, 3, trace_every_n_steps=2)
    names = sorted(name for name in os.listdir(tmp_path) if name.startswith("tf_trace-"))
    assert names
    events = json.loads((tmp_path / names[0]).read_text())["traceEvents"]
    assert {event["ph"] for event in events} == {"M", "X"}
    assert any("line/slope" in event["name"] for event in events)


def test_the_step_function_receives_its_arguments_and_may_stop():
    received = []

    def step(session, train_op, global_step, kwargs):
        received.append(kwargs["mine"])
        loss, _ = learning.train_step(session, train_op, global_step, {})
        return loss, len(received) == 3

    loss = train(None, None, train_step_fn=step, train_step_kwargs={"mine": 7})
    assert received == [7, 7, 7]
    assert loss == expected_loss(3)


def test_a_session_wrapper_runs_the_steps():
    wrapped = []

    def wrapper(session):
        wrapped.append(session)
        return session

    train(None, 1, session_wrapper=wrapper)
    assert len(wrapped) == 1


class SlowSaver(v1.train.Saver):
    """Records the steps that it saves, and the most calls at the same time."""

    steps, current, most = (), 0, 0

    def save(self, session, *args, **kwargs):
        self.current += 1
        self.most = max(self.most, self.current)
        time.sleep(0.05)
        path = super().save(session, *args, **kwargs)
        self.steps = (*self.steps, int(path.rpartition("-")[2]))
        self.current -= 1
        return path


def test_checkpoints_are_saved_one_after_the_other(tmp_path):
    with tf.Graph().as_default():
        optimizer = v1.train.GradientDescentOptimizer(RATE)
        train_op = learning.create_train_op(line_fit.build(), optimizer)
        saver, options = SlowSaver(), {"number_of_steps": 20, "save_interval_secs": 0.001}
        learning.train(train_op, str(tmp_path), saver=saver, **options)
    assert saver.most == 1
    assert list(saver.steps) == sorted(saver.steps)
    assert slim.checkpoints.latest(str(tmp_path)).endswith("model.ckpt-20")


def test_training_ends_with_the_data(tmp_path):
    with tf.Graph().as_default():
        limit = v1.train.limit_epochs(tf.constant(1.0), num_epochs=3)
        loss = line_fit.build() * limit
        train_op = learning.create_train_op(loss, v1.train.GradientDescentOptimizer(RATE))
        assert learning.train(train_op, str(tmp_path)) == expected_loss(3)
    assert slim.checkpoints.latest(str(tmp_path)).endswith("model.ckpt-3")


def test_queues_feed_the_steps_and_summaries_are_written(tmp_path):
    with tf.Graph().as_default():
        queued = v1.train.batch([tf.constant(1.0)], batch_size=1)
        loss = tf.reduce_mean(line_fit.build() * queued)
        v1.summary.scalar("loss", loss)
        train_op = learning.create_train_op(loss, v1.train.GradientDescentOptimizer(RATE))

        def step(*arguments):
            time.sleep(0.02)
            return learning.train_step(*arguments)

        arguments = {"save_summaries_secs": 0.02, "save_interval_secs": 0.05, "number_of_steps": 9}
        learning.train(train_op, str(tmp_path), step, **arguments)
    names = os.listdir(tmp_path)
    [events] = [name for name in names if name.startswith("events")]
    read = list(v1.train.summary_iterator(str(tmp_path / events)))
    tags = {value.tag for event in read for value in event.summary.value}
    assert {"loss", "global_step/sec"} <= tags
    assert len([name for name in names if name.endswith(".index")]) > 1


@pytest.mark.parametrize(
    "is_chief, init_op", [(True, "chief_init_op"), (False, "local_step_init_op")]
)
def test_synchronous_optimizers_add_their_initializers(is_chief, init_op):
    with tf.Graph().as_default():
        descent = v1.train.GradientDescentOptimizer(RATE)
        optimizer = v1.train.SyncReplicasOptimizer(descent, replicas_to_aggregate=2)
        learning.create_train_op(line_fit.build(), optimizer)
        synchronous = Synchronous(optimizer, 0, is_chief)
        local = tf.no_op(name="local")
        grouped, ready = synchronous.init_ops(local)
        inputs = {op.name for op in grouped.control_inputs}
        assert getattr(optimizer, init_op).name in inputs
        assert ready.dtype == tf.string
        synchronous.prepare()
        assert len(synchronous._queue_runners) == is_chief


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"number_of_steps": 0}, "number_of_steps=0 must be positive"),
        ({"logdir": None, "trace_every_n_steps": 1}, "logdir=None, but trace_every_n_steps writes"),
        ({"logdir": None, "summary_op": "x"}, "logdir=None, but summary_op writes there"),
        ({"sync_optimizer": 3}, "sync_optimizer is a int. Pass one or a list of"),
        (
            {"sync_optimizer": [3], "startup_delay_steps": 2},
            "startup_delay_steps=2 must be 0 with a sync_optimizer",
        ),
        ({"max_to_keep": 3}, "train has no argument 'max_to_keep' in a tf.Graph. Remove it"),
    ],
)
def test_arguments_that_do_not_fit_are_errors(arguments, message, tmp_path):
    arguments = {"logdir": str(tmp_path), "number_of_steps": 1, **arguments}
    with tf.Graph().as_default():
        train_op = learning.create_train_op(
            line_fit.build(), v1.train.GradientDescentOptimizer(RATE)
        )
        with pytest.raises(ValueError, match=message):
            learning.train(train_op, **arguments)


def test_train_without_a_step_is_an_error():
    with tf.Graph().as_default():
        with pytest.raises(
            ValueError, match="train_op is None. Pass the result of create_train_op"
        ):
            learning.train(None, None)
    with pytest.raises(ValueError, match="train_op is a EagerTensor. Pass the result of"):
        learning.train(tf.constant(1.0), None)


def test_traces_need_a_directory():
    with tf.Graph().as_default(), v1.Session() as session:
        kwargs = {"should_trace": tf.constant(True)}
        with pytest.raises(ValueError, match="should_trace needs logdir"):
            learning.train_step(session, tf.constant(1.0), tf.constant(1), kwargs)


def test_a_worker_waits_for_the_steps_of_the_chief(monkeypatch):
    waits = []

    def sleep(seconds):
        waits.append(seconds)
        session.run(two_steps)

    # Of this module alone: other threads sleep too.
    monkeypatch.setattr(services, "time", types.SimpleNamespace(sleep=sleep))
    with tf.Graph().as_default(), v1.Session() as session:
        global_step = v1.train.get_or_create_global_step()
        session.run(global_step.initializer)
        two_steps = global_step.assign_add(2)
        supervisor = v1.train.Supervisor(logdir=None, global_step=global_step)
        synchronous = Synchronous(None, 0, is_chief=False)
        services.Services(supervisor, session.graph, synchronous, 3, 0, 0).start(session)
    assert waits == [1, 1]


def test_graph_and_eager_training_resume_each_other(tmp_path):
    def loss_fn(x, y):
        slope = slim.variable("line/slope", [], initializer=slim.zeros_initializer())
        offset = slim.variable("line/offset", [], initializer=slim.zeros_initializer())
        return tf.reduce_mean(tf.square(slope * x + offset - y))

    def train_eagerly(steps):
        store = slim.VariableStore(seed=0)
        optimizer = slim.optimizers.Momentum(learning_rate=0.01, momentum=0.9)
        train_op = learning.create_train_op(loss_fn, optimizer, store=store)
        batches = tf.data.Dataset.from_tensors((line_fit.X, line_fit.Y)).repeat()
        arguments = {"log_every_n_steps": 0, "save_summaries_secs": 0}
        return learning.train(train_op, str(tmp_path), batches, number_of_steps=steps, **arguments)

    losses = [
        train(tmp_path, 2, v1.train.MomentumOptimizer(0.01, 0.9)),
        train_eagerly(4),
        train(tmp_path, 6, v1.train.MomentumOptimizer(0.01, 0.9)),
    ]
    slope = offset = by_slope = by_offset = 0.0
    expected = []
    for _ in range(6):
        expected.append(np.mean((slope * line_fit.X + offset - line_fit.Y) ** 2))
        gradients = line_fit.gradients(slope, offset)
        by_slope, by_offset = 0.9 * by_slope + gradients[0], 0.9 * by_offset + gradients[1]
        slope, offset = slope - 0.01 * by_slope, offset - 0.01 * by_offset
    assert losses == pytest.approx([expected[1], expected[3], expected[5]], rel=1e-4)
