"""The watchdog, with really blocked inputs, slow steps and slow disks."""

import sys
import threading
import time

import pytest
import tensorflow as tf

from classifier.training.hooks.watchdog import Watchdog
from slim import learning
from tests.slim import tiny

TIMEOUT = 0.3  # seconds without progress


@pytest.fixture
def watched(tmp_path):
    """Trains for four steps with a watchdog and returns its output."""

    def run(batches=None, hooks=()):
        with open(tmp_path / "stderr.txt", "w+", encoding="utf-8") as stream:
            watchdog = Watchdog(TIMEOUT / 60, stream)
            learning.train(
                tiny.train_op(),
                str(tmp_path / "run"),
                batches or tiny.batches(),
                number_of_steps=4,
                save_interval_steps=2,
                hooks=[watchdog, *hooks],
            )
            stream.seek(0)
            return stream.read()

    return run


def blocked_at(number, seconds=4 * TIMEOUT):
    """Returns the tiny network's batches, one of which is delayed."""

    def late(index):
        if index == number:
            time.sleep(seconds)
        return index

    def wait(index, batch):
        with tf.control_dependencies([tf.numpy_function(late, [index], tf.int64)]):
            return tf.nest.map_structure(tf.identity, batch)

    return tiny.batches().enumerate().map(wait)


def test_a_blocked_input_is_reported_once_with_stacks(watched):
    text = watched(blocked_at(3))
    assert text.count("at step 3, waiting for data: a disk or a network file system") == 1
    assert "--num_preprocessing_threads" in text
    after = text[text.index("at step 3") :]
    assert "train_op.py" in after
    assert "most recent call first" in after


def test_a_slow_save_is_reported(watched):
    class SlowDisk(learning.Hook):
        def after_save(self, run, prefix):
            if run.step == 2:
                time.sleep(4 * TIMEOUT)

    assert "at step 2, saving a checkpoint: the disk of --train_dir" in watched(hooks=[SlowDisk()])


def test_a_slow_hook_is_reported_by_name(watched):
    class SlowHook(learning.Hook):
        def after_steps(self, run, numbers):
            if run.step == 3:
                time.sleep(4 * TIMEOUT)

    assert "at step 3, in SlowHook: see the stacks below" in watched(hooks=[SlowHook()])


def test_its_thread_ends_with_the_run(watched):
    watched()
    assert "watchdog" not in [thread.name for thread in threading.enumerate()]


def test_a_computing_step_is_not_waiting_for_data():
    op = tiny.train_op()
    assert op.activity == "building"
    activities = []

    def slowly(images):
        time.sleep(0.2)
        activities.append(op.activity)
        return 0

    def loss_fn(images, labels):
        activities.append(op.activity)
        wait = tf.numpy_function(slowly, [images], tf.int64)
        with tf.control_dependencies([wait]):
            return loss(images, labels)

    op, loss = tiny.train_op(loss_fn), tiny.loss_fn
    batches = tiny.batches()
    op.build(batches.element_spec)
    op.run(iter(batches))
    assert activities[0] == "building"
    assert activities[-1] == "computing"
    assert op.activity == "waiting"


@pytest.mark.slow
def test_watchdog_minutes_is_the_timeout(train, tmp_path, monkeypatch):
    output = {}
    for minutes in (0, 0.01 / 60):  # building the step takes longer than a hundredth of a second
        with open(tmp_path / "stderr.txt", "w+", encoding="utf-8") as stream:
            monkeypatch.setattr(sys, "__stderr__", stream)
            assert train(tmp_path / str(minutes), watchdog_minutes=minutes).code == 0
            stream.seek(0)
            output[minutes] = stream.read()
    assert output[0] == ""
    assert "at step 0, building the step: large networks take minutes" in output[0.01 / 60]
