"""A loss that is no number sends a run back, and on without the data that did it."""

import json

import numpy as np
import pytest
import tensorflow as tf

from slim import _checks, checkpoints, learning, nan_restores
from tests.slim import tiny


def poisoned(bad):
    """Returns the tiny network's batches by number, of which those in `bad` are not finite."""

    def poison(number, batch):
        images, labels = batch
        is_bad = tf.reduce_any(tf.equal(number, tf.constant(bad, tf.int64)))
        return tf.where(is_bad, images * np.float32("nan"), images), labels

    return lambda: tiny.batches().enumerate().map(poison)


def without(left_out):
    """Returns the batches but for those with these numbers."""
    left_out = list(left_out)
    kept = (
        tiny.batches()
        .enumerate()
        .filter(
            lambda number, _: tf.reduce_all(tf.not_equal(number, tf.constant(left_out, tf.int64)))
        )
    )
    return lambda: kept.map(lambda _, batch: batch)


def train(logdir, batches, steps=12, op=None, **more):
    more = {"save_interval_secs": 0, "save_interval_steps": 4} | more
    op = op or tiny.train_op()
    # A function: a dataset that is iterated a second time shuffles itself anew.
    return learning.train(
        op, str(logdir), lambda first: batches().skip(first), number_of_steps=steps, **more
    )


def saved(logdir):
    reader = checkpoints.read(checkpoints.find(str(logdir)))
    return {name: reader.get(name).tolist() for name in reader.variables()}


def notes(logdir):
    return json.loads((logdir / nan_restores.FILE).read_text())


class Reasons(learning.Hook):
    def __init__(self):
        self.said = []

    def after_rollback(self, run, reason):
        self.said.append((run.step, reason))


@pytest.mark.parametrize("steps_per_loop", [1, 3])
def test_it_ends_as_if_the_offending_stretch_had_not_been_there(tmp_path, steps_per_loop):
    hook = Reasons()
    more = {"max_nan_restores": 2, "hooks": [hook], "steps_per_loop": steps_per_loop}
    train(tmp_path / "poisoned", poisoned([6]), **more)
    # A checkpoint came after step 4 (or the loop that passed it); batch 6 is the seventh.
    (note,) = notes(tmp_path / "poisoned")
    start = 4 if steps_per_loop == 1 else 6
    assert note == {"step": start, "failed_step": 6, "skipped": 7 - start}
    train(tmp_path / "clean", without(range(start, 7)))
    assert saved(tmp_path / "poisoned") == saved(tmp_path / "clean")
    ((step, reason),) = hook.said
    assert step == start
    assert f"is nan at step 7: rolled back to step {start}, skipping {7 - start} batch" in reason
    assert reason.endswith("(rollback 1 of 2)")


def test_a_resumed_run_remembers_what_it_left_out(tmp_path):
    train(tmp_path / "cut", poisoned([6]), steps=9, max_nan_restores=1)
    train(tmp_path / "cut", poisoned([6]), steps=12)
    train(tmp_path / "whole", poisoned([6]), steps=12, max_nan_restores=1)
    assert saved(tmp_path / "cut") == saved(tmp_path / "whole")


def test_before_the_first_checkpoint_it_goes_back_to_the_beginning(tmp_path):
    train(tmp_path, poisoned([1]), max_nan_restores=1, save_interval_steps=0)
    assert notes(tmp_path) == [{"step": 0, "failed_step": 1, "skipped": 2}]


def test_no_more_often_than_allowed_over_all_resumptions(tmp_path):
    batches = poisoned([6, 9, 14])
    with pytest.raises(learning.NonFiniteError, match=r"is nan at step \d+ ") as error:
        train(tmp_path, batches, max_nan_restores=2)
    assert (len(notes(tmp_path)), error.value.batch) == (2, 14)
    with pytest.raises(learning.NonFiniteError):
        train(tmp_path, batches, max_nan_restores=2)
    assert len(notes(tmp_path)) == 2
    train(tmp_path, batches, max_nan_restores=3)
    assert checkpoints.Checkpoints(str(tmp_path)).all_steps()[-1] == 12


def test_a_checkpoint_from_before_a_return_reads_the_data_as_they_were(tmp_path):
    returns = nan_restores.NanRestores(str(tmp_path), 3)
    returns.add(4, 6)
    returns.add(8, 8)
    again = nan_restores.NanRestores(str(tmp_path), 3)
    assert again.count == 2
    assert [again.skipped(step) for step in (3, 4, 7, 8)] == [0, 3, 3, 4]


def test_a_damaged_note_is_refused(tmp_path):
    (tmp_path / nan_restores.FILE).write_text("[{")
    with pytest.raises(_checks.RunError, match=r"nan_restores.json is damaged .*bring back a copy"):
        train(tmp_path, tiny.batches)
