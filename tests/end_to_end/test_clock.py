"""A machine whose clock is set while a run is on."""

import subprocess
import sys

import commands
import pytest
import tensorflow as tf

# The clock of the script's process is put forth by a day each time that somebody looks.
JUMPING = """
import itertools, runpy, sys, time
true, jumps = time.time, itertools.count(0, 86_400)
time.time = lambda: true() + next(jumps)
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def run(train_dir, digits, **intervals):
    """Does 6 steps, and returns those that have checkpoints at the end, and those with events."""
    flags = commands.train_flags(train_dir, digits, 6, **intervals)
    _, *command = commands.command("train_image_classifier", *flags)
    subprocess.run(
        [sys.executable, "-c", JUMPING, *command], check=True, capture_output=True, timeout=900
    )
    saved = {int(path.stem.rpartition("-")[2]) for path in train_dir.glob("model.ckpt-*.index")}
    files = [str(path) for path in train_dir.glob("events.out.tfevents.*")]
    events = [
        tf.compat.v1.Event.FromString(record)
        for record in tf.data.TFRecordDataset(files).as_numpy_iterator()
    ]
    return saved, {event.step for event in events if event.summary.value}


@pytest.mark.slow
def test_a_clock_that_jumps_moves_no_interval(tmp_path, digits):
    saved, written = run(tmp_path / "seconds", digits, save_summaries_secs=600)
    assert saved == written == {6}, "ten minutes are not over in six steps"
    hours = {"save_interval_steps": 1, "max_to_keep": 1, "keep_checkpoint_every_n_hours": 1}
    saved, _ = run(tmp_path / "hours", digits, **hours)
    assert saved == {6}, "no hour is over in six steps"
