"""Traces of TensorFlow's profiler (`--profile_steps`)."""

import types

import numpy as np
import pytest
import tensorflow as tf

from classifier.config import options
from classifier.config.training import TrainConfig
from classifier.training.hooks.profiler import Profile
from slim import _checks


def traces(run_dir):
    return list((run_dir / "plugins" / "profile").rglob("*.xplane.pb"))


def test_a_run_writes_a_trace(train, tmp_path):
    done = train(tmp_path / "run", max_number_of_steps=4, profile_steps="2,3")
    assert done.code == 0
    assert f"profiler: wrote steps 2 to 3 to {tmp_path}/run/plugins/profile" in done.out
    (trace,) = traces(tmp_path / "run")
    assert not (tmp_path / "run" / "curves.png").exists()
    assert b"Conv2D" in trace.read_bytes()


@pytest.fixture
def profiled(monkeypatch):
    """Runs a loop of steps and returns the steps at which the profiler started and stopped."""

    def run(first, last, *, begin, end, loop=1):
        state, calls = types.SimpleNamespace(step=begin, is_over=False), []
        profiler = tf.profiler.experimental
        monkeypatch.setattr(profiler, "start", lambda _: calls.append(("start", state.step)))
        monkeypatch.setattr(profiler, "stop", lambda: calls.append(("stop", state.step)))
        hook = Profile("run", first, last, loop)
        hook.begin(state)
        while state.step < end:
            state.step += loop
            state.is_over = state.step >= end
            hook.after_steps(state, {"loss": np.zeros(loop)})
        hook.end(state)
        return calls

    return run


@pytest.mark.parametrize(
    "values, expected",
    [
        ({"first": 1, "last": 1, "begin": 0, "end": 3}, [("start", 0), ("stop", 1)]),
        ({"first": 3, "last": 5, "begin": 0, "end": 9}, [("start", 2), ("stop", 5)]),
        ({"first": 3, "last": 9, "begin": 4, "end": 12}, [("start", 4), ("stop", 9)]),
        ({"first": 3, "last": 9, "begin": 0, "end": 6}, [("start", 2), ("stop", 6)]),
        ({"first": 6, "last": 7, "begin": 0, "end": 20, "loop": 5}, [("start", 5), ("stop", 10)]),
        ({"first": 5, "last": 6, "begin": 0, "end": 20, "loop": 5}, [("start", 0), ("stop", 10)]),
        ({"first": 3, "last": 9, "begin": 9, "end": 12}, []),
        ({"first": 3, "last": 9, "begin": 0, "end": 2}, []),
    ],
)
def test_profiler_starts_and_stops_at_loops(profiled, values, expected):
    assert profiled(**values) == expected


def test_steps_before_those_of_a_resumed_run_have_no_effect(profiled, capsys):
    assert profiled(2, 3, begin=4, end=5) == []
    line = "profiler: --profile_steps=2,3 has no effect, the run is at step 4"
    assert line in capsys.readouterr().out


@pytest.mark.parametrize(
    "steps, problem",
    [
        ((5,), "profile_steps='5' is not a first and a last step"),
        ((5, 6, 7), "profile_steps='5,6,7' is not a first and a last step"),
        ((0, 6), "profile_steps='0,6' is not a first and a last step, counted from 1"),
        ((7, 6), "profile_steps='7,6' is not a first and a last step"),
    ],
)
def test_invalid_steps_are_an_error(steps, problem):
    with pytest.raises(_checks.UserError, match=problem):
        options.build(TrainConfig, train_dir="run", dataset_dir="data", profile_steps=steps)


def test_steps_after_the_end_are_an_error(resolved):
    with pytest.raises(_checks.UserError, match="90,95 exceeds the run's 94 steps"):
        resolved(max_number_of_steps=94, profile_steps=(90, 95))
    assert resolved(max_number_of_steps=95, profile_steps=(90, 95))
