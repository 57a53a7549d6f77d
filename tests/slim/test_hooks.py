"""The hooks of every run: log lines with the loss and scalar summaries."""

import os
import re

import pytest
import tensorflow as tf

from slim import learning
from slim.hooks import scalar_tag
from tests.slim import tiny


def train(logdir, steps, **arguments):
    arguments = {"save_interval_secs": 0, **arguments}
    logdir = logdir and str(logdir)
    return learning.train(
        tiny.shared_op(), logdir, tiny.batches(), number_of_steps=steps, **arguments
    )


def scalars(directory):
    """Returns {(tag, step): value} of a directory's event files."""
    return {
        (value.tag, event.step): float(tf.make_ndarray(value.tensor))
        for name in sorted(os.listdir(directory))
        if name.startswith("events")
        for event in tf.compat.v1.train.summary_iterator(os.path.join(directory, name))
        for value in event.summary.value
    }


@pytest.mark.parametrize(
    "every, steps_per_loop, steps",
    [(1, 1, [1, 2, 3, 4, 5]), (2, 1, [2, 4]), (2, 5, [2, 4]), (0, 1, [])],
)
def test_the_loss_is_printed_every_n_steps(capsys, every, steps_per_loop, steps):
    last = train(None, 5, log_every_n_steps=every, steps_per_loop=steps_per_loop)
    lines = capsys.readouterr().out.splitlines()
    pattern = r"global step (\d+): loss = (\d+\.\d{4}) \(\d+\.\d{3} sec/step\)"
    matches = [re.fullmatch(pattern, line).groups() for line in lines]
    assert [int(step) for step, _ in matches] == steps
    if every == 1:
        assert float(matches[-1][1]) == pytest.approx(last, abs=1e-4)


def test_summaries_are_written_at_the_end(tmp_path):
    last = train(tmp_path, 3)
    matches = scalars(tmp_path)
    assert matches["total_loss", 3] == pytest.approx(last)
    assert matches["learning_rate", 3] == pytest.approx(0.1)
    assert {tag for tag, _ in matches} >= {
        "train/accuracy",
        "train/gradient_norm",
        "global_step/sec",
    }
    assert {step for _, step in matches} == {3}


def test_summaries_are_written_at_intervals(tmp_path):
    seconds = iter(range(1000))
    train(tmp_path, 9, save_summaries_secs=1e-9, clock=lambda: next(seconds), log_every_n_steps=0)
    assert {step for _, step in scalars(tmp_path)} == set(range(1, 10))


def test_no_summaries_without_an_interval(tmp_path):
    train(tmp_path, 1, save_summaries_secs=0)
    assert not scalars(tmp_path)


@pytest.mark.parametrize(
    "name, tag", [("loss", "total_loss"), ("data_wait", "train/data_wait"), ("a/b", "a/b")]
)
def test_tags_of_metrics(name, tag):
    assert scalar_tag(name) == tag


def test_without_a_directory_nothing_is_saved(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    train(None, 2)
    assert not os.listdir(tmp_path)
    saves = learning.Hook()
    saves.after_steps = lambda run, numbers: run.save()
    with pytest.raises(ValueError, match="logdir=None: this run saves no checkpoints"):
        train(None, 2, hooks=[saves])
    message = "logdir=None, but max_nan_restores=2 needs checkpoints. Pass a logdir"
    with pytest.raises(ValueError, match=message):
        train(None, 2, max_nan_restores=2)
