"""A run with a NaN loss rolls back and skips the data that caused it."""

import json

import numpy as np
import pytest
import tensorflow as tf

from slim import _checks, checkpoints, learning, nan_restores
from tests.slim import tiny


def poisoned(bad):
    """Returns a function that returns batches of which those in `bad` (numbers) are NaN."""

    def poison(number, batch):
        images, labels = batch
        is_bad = tf.reduce_any(tf.equal(number, tf.constant(bad, tf.int64)))
        return tf.where(is_bad, images * np.float32("nan"), images), labels

    return lambda: tiny.batches().enumerate().map(poison)


def without(skipped):
    """Returns a function that returns the batches except those with these numbers."""
    numbers = tf.constant(list(skipped), tf.int64)
    remaining = (
        tiny.batches()
        .enumerate()
        .filter(lambda number, _: tf.reduce_all(tf.not_equal(number, numbers)))
    )
    return lambda: remaining.map(lambda _, batch: batch)


def train(logdir, batches, steps=12, op=None, **more):
    more = {"save_interval_secs": 0, "save_interval_steps": 4} | more
    op = op or tiny.shared_op()
    # A function, because a dataset that is iterated twice is shuffled again.
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
        self.reasons = []

    def after_rollback(self, run, reason):
        self.reasons.append((run.step, reason))


@pytest.mark.parametrize("steps_per_loop", [1, 3])
def test_rolled_back_run_equals_a_run_without_the_skipped_batches(tmp_path, steps_per_loop):
    hook = Reasons()
    more = {"max_nan_restores": 2, "hooks": [hook], "steps_per_loop": steps_per_loop}
    train(tmp_path / "poisoned", poisoned([6]), **more)
    # There is a checkpoint of step 4 (or of the loop that passed it); batch 6 is the seventh.
    (note,) = notes(tmp_path / "poisoned")
    start = 4 if steps_per_loop == 1 else 6
    assert note == {"step": start, "failed_step": 6, "skipped": 7 - start}
    train(tmp_path / "clean", without(range(start, 7)))
    assert saved(tmp_path / "poisoned") == saved(tmp_path / "clean")
    ((step, reason),) = hook.reasons
    assert step == start
    assert f"is nan at step 7: rolled back to step {start}, skipping {7 - start} batch" in reason
    assert reason.endswith("(rollback 1 of 2)")


def test_resumed_run_skips_the_same_batches(tmp_path):
    train(tmp_path / "resumed", poisoned([6]), steps=9, max_nan_restores=1)
    train(tmp_path / "resumed", poisoned([6]), steps=12)
    train(tmp_path / "uninterrupted", poisoned([6]), steps=12, max_nan_restores=1)
    assert saved(tmp_path / "resumed") == saved(tmp_path / "uninterrupted")


def test_nan_before_the_first_checkpoint_rolls_back_to_step_0(tmp_path):
    train(tmp_path, poisoned([1]), max_nan_restores=1, save_interval_steps=0)
    assert notes(tmp_path) == [{"step": 0, "failed_step": 1, "skipped": 2}]


def test_rollbacks_are_limited_over_all_resumptions(tmp_path):
    batches = poisoned([6, 9, 14])
    with pytest.raises(learning.NonFiniteError, match=r"is nan at step \d+ ") as error:
        train(tmp_path, batches, max_nan_restores=2)
    assert (len(notes(tmp_path)), error.value.batch) == (2, 14)
    with pytest.raises(learning.NonFiniteError):
        train(tmp_path, batches, max_nan_restores=2)
    assert len(notes(tmp_path)) == 2
    train(tmp_path, batches, max_nan_restores=3)
    assert checkpoints.Checkpoints(str(tmp_path)).all_steps()[-1] == 12


def test_checkpoint_from_before_a_rollback_skips_nothing(tmp_path):
    restores = nan_restores.NanRestores(str(tmp_path), 3)
    restores.add(4, 6)
    restores.add(8, 8)
    again = nan_restores.NanRestores(str(tmp_path), 3)
    assert again.count == 2
    assert [again.skipped(step) for step in (3, 4, 7, 8)] == [0, 3, 3, 4]


def test_damaged_list_of_rollbacks_is_an_error(tmp_path):
    (tmp_path / nan_restores.FILE).write_text("[{")
    message = r"nan_restores.json cannot be used: not JSON.*\. Restore a backup"
    with pytest.raises(_checks.UserError, match=message):
        train(tmp_path, tiny.batches)


@pytest.mark.parametrize(
    "change, problem",
    [
        ({"step": "4"}, r'0\.step is "4", expected a whole number'),
        ({"skipped": 10**12}, "0: skipped is 1000000000000, but step is 4 and failed_step is 6"),
        ({"failed_step": 2}, "0: skipped is 3, but step is 4 and failed_step is 2"),
        ({"skipped": True}, r"0\.skipped is true, expected a whole number"),
    ],
)
def test_inconsistent_list_of_rollbacks_is_an_error(tmp_path, change, problem):
    note = {"step": 4, "failed_step": 6, "skipped": 3} | change
    (tmp_path / nan_restores.FILE).write_text(json.dumps([note]))
    with pytest.raises(_checks.UserError, match=problem):
        nan_restores.NanRestores(str(tmp_path), 3)
