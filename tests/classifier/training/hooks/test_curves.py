"""Plots of a run's metrics (`--plot_curves`)."""

import importlib.util
import json
import types

import numpy as np
import PIL.Image
import pytest

from classifier.metrics_file import MetricsFile
from classifier.training.hooks import curves
from slim import _json, learning

LINES = [
    {"step": 10, "loss": 2.0, "accuracy": 0.1, "learning_rate": 0.1},
    {"step": 20, "loss": 1.0, "accuracy": 0.5, "learning_rate": 0.05},
    {"step": 20, "eval_loss": 1.2, "eval_accuracy": 0.4},
]


@pytest.mark.slow
def test_a_run_draws_its_curves(train, tmp_path):
    pytest.importorskip("matplotlib")
    flags = {"eval_every_steps": 2, "log_every_n_steps": 1, "max_number_of_steps": 2}
    assert train(tmp_path / "run", plot_curves=True, **flags).code == 0
    image = np.asarray(PIL.Image.open(tmp_path / "run" / "curves.png").convert("RGB"))
    assert min(image.shape[:2]) > 300
    assert len(np.unique(image.reshape(-1, 3), axis=0)) > 10
    written = (tmp_path / "run" / "metrics.jsonl").read_text()
    lines = [json.loads(line) for line in written.splitlines()]
    drawn = curves.draw(lines).axes[1].lines
    assert [list(line.get_xdata()) for line in drawn] == [[1, 2], [2]]


def test_plots_show_training_and_evaluation():
    pytest.importorskip("matplotlib")
    loss, accuracy, rate = curves.draw(LINES).axes
    points = {
        (axes.get_ylabel(), line.get_label()): (list(line.get_xdata()), list(line.get_ydata()))
        for axes in (loss, accuracy, rate)
        for line in axes.lines
    }
    assert points == {
        ("loss", "training"): ([10, 20], [2.0, 1.0]),
        ("loss", "evaluation"): ([20], [1.2]),
        ("accuracy", "training"): ([10, 20], [0.1, 0.5]),
        ("accuracy", "evaluation"): ([20], [0.4]),
        ("learning rate", "learning rate"): ([10, 20], [0.1, 0.05]),
    }


def test_missing_metrics_are_not_in_the_legend():
    pytest.importorskip("matplotlib")
    axes = curves.draw(LINES[:2]).axes[0]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["training"]


def test_each_line_is_read_once_and_again_after_a_rollback(tmp_path, monkeypatch):
    pytest.importorskip("matplotlib")
    metrics = MetricsFile(str(tmp_path / "metrics.jsonl"))
    hook = curves.Curves(
        types.SimpleNamespace(eval_every_steps=0, steps_per_epoch=1), str(tmp_path), metrics
    )
    decoded, drawn, decode_line = [], [], _json.decode_line
    monkeypatch.setattr(
        _json, "decode_line", lambda *args, **more: decoded.append(1) or decode_line(*args, **more)
    )
    figure = types.SimpleNamespace(savefig=lambda file, format: file.write(b"png"))
    monkeypatch.setattr(curves, "draw", lambda lines: drawn.append(list(lines)) or figure)
    run = learning.Run(None, None, 0, 9)
    for step in range(1, 9):
        metrics.append({"step": step, "loss": 1.0 / step, "time": 5.0})
        run.step = step
        hook.after_steps(run, {"loss": np.zeros(1)})
    assert len(decoded) == 8
    assert drawn[-1] == [{"step": step, "loss": 1.0 / step} for step in range(1, 9)]
    metrics.rewind(3)
    hook.after_rollback(run, "")
    hook.end(run)
    assert [line["step"] for line in drawn[-1]] == [1, 2, 3]


def test_run_does_not_start_without_matplotlib(train, tmp_path, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name: None if name == "matplotlib" else find(name),
    )
    done = train(tmp_path / "run", plot_curves=True)
    assert done.code == 2
    assert any("install it with: pip install matplotlib" in line for line in done.err)
    assert not (tmp_path / "run" / "metrics.jsonl").exists()
