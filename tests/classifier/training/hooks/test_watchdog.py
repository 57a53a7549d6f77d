"""The watchdog: blocked inputs, slow steps and slow disks, each for real."""

import sys
import threading
import time

import pytest
import tensorflow as tf

from classifier.training.hooks.watchdog import Watchdog
from slim import learning
from tests.slim import tiny

SILENT = 0.3  # seconds without progress


@pytest.fixture
def told(tmp_path):
    """Trains for four steps under a watchdog and returns what it wrote."""

    def run(batches=None, hooks=()):
        with open(tmp_path / "stderr.txt", "w+", encoding="utf-8") as stream:
            watchdog = Watchdog(SILENT / 60, stream)
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


def blocked_at(number, seconds=4 * SILENT):
    """Returns the tiny network's batches, of which one comes late."""

    def late(index):
        if index == number:
            time.sleep(seconds)
        return index

    def wait(index, batch):
        with tf.control_dependencies([tf.numpy_function(late, [index], tf.int64)]):
            return tf.nest.map_structure(tf.identity, batch)

    return tiny.batches().enumerate().map(wait)


def test_a_blocked_input_is_told_once_with_the_stacks(told):
    text = told(blocked_at(3))
    assert text.count("at step 3, waiting for data: a disk or a network file system") == 1
    assert "--num_preprocessing_threads" in text
    after = text[text.index("at step 3") :]
    assert "train_op.py" in after
    assert "most recent call first" in after


def test_a_slow_save_is_told(told):
    class SlowDisk(learning.Hook):
        def after_save(self, run, prefix):
            if run.step == 2:
                time.sleep(4 * SILENT)

    assert "at step 2, saving a checkpoint: the disk of --train_dir" in told(hooks=[SlowDisk()])


def test_another_hook_is_told_by_its_name(told):
    class Sleepy(learning.Hook):
        def after_steps(self, run, numbers):
            if run.step == 3:
                time.sleep(4 * SILENT)

    assert "at step 3, in Sleepy: see the stacks below" in told(hooks=[Sleepy()])


def test_its_thread_ends_with_the_run(told):
    told()
    assert "watchdog" not in [thread.name for thread in threading.enumerate()]


def test_a_step_that_computes_is_no_waiting():
    op = tiny.train_op()
    assert op.activity == "building"
    seen = []

    def slowly(images):
        time.sleep(0.2)
        seen.append(op.activity)
        return 0

    def loss_fn(images, labels):
        seen.append(op.activity)
        look = tf.numpy_function(slowly, [images], tf.int64)
        with tf.control_dependencies([look]):
            return loss(images, labels)

    op, loss = tiny.train_op(loss_fn), tiny.loss_fn
    batches = tiny.batches()
    op.build(batches.element_spec)
    op.run(iter(batches))
    assert seen[0] == "building"
    assert seen[-1] == "computing"
    assert op.activity == "waiting"


@pytest.mark.slow
def test_the_flag_acts(train, tmp_path, monkeypatch):
    told = {}
    for minutes in (0, 0.01 / 60):  # building the step takes longer than a hundredth of a second
        with open(tmp_path / "stderr.txt", "w+", encoding="utf-8") as stream:
            monkeypatch.setattr(sys, "__stderr__", stream)
            assert train(tmp_path / str(minutes), watchdog_minutes=minutes).code == 0
            stream.seek(0)
            told[minutes] = stream.read()
    assert told[0] == ""
    assert "at step 0, building the step: large networks take minutes" in told[0.01 / 60]
