"""A system clock that is set during a run."""

import subprocess
import sys

import commands
import pytest
import tensorflow as tf

# Each reading of the clock in the script's process is a day later than the last.
JUMPING = """
import itertools, runpy, sys, time
true, jumps = time.time, itertools.count(0, 86_400)
time.time = lambda: true() + next(jumps)
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def train(train_dir, digits, **intervals):
    """Trains for 6 steps; returns the steps with a checkpoint at the end, and those with events."""
    flags = commands.train_flags(train_dir, digits, 6, **intervals)
    _, *command = commands.command("train_image_classifier", *flags)
    subprocess.run(
        [sys.executable, "-c", JUMPING, *command], check=True, capture_output=True, timeout=900
    )
    files = [str(path) for path in train_dir.glob("events.out.tfevents.*")]
    events = [
        tf.compat.v1.Event.FromString(record)
        for record in tf.data.TFRecordDataset(files).as_numpy_iterator()
    ]
    steps_with_events = {event.step for event in events if event.summary.value}
    return commands.checkpoint_steps(train_dir), steps_with_events


@pytest.mark.slow
def test_clock_that_jumps_changes_no_interval(tmp_path, digits):
    saved, written = train(tmp_path / "seconds", digits, save_summaries_secs=600)
    assert saved == written == {6}, "six steps take less than ten minutes"
    hours = {"save_interval_steps": 1, "max_to_keep": 1, "keep_checkpoint_every_n_hours": 1}
    saved, _ = train(tmp_path / "hours", digits, **hours)
    assert saved == {6}, "six steps take less than an hour"
