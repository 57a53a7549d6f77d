"""metrics.jsonl: appended, rewound, and read as far as it is intact."""

import json
import os

import pytest

from classifier.metrics_file import MetricsFile
from classifier.training.hooks.curves import Curves
from slim import _checks, _json

LINES = [
    {"step": 2, "loss": 1.5, "accuracy": 0.5},
    {"step": 4, "loss": 1.0, "gradient_norm": float("inf")},
    {"step": 4, "eval_accuracy": 0.75, "eval_macro_recall": float("nan"), "eval_later": [1]},
    {"step": 6, "loss": 0.5},
]
TEXT = [f"{json.dumps(line)}\n" for line in LINES]


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text("".join(TEXT))
    return path


def steps(path):
    return [json.loads(line)["step"] for line in path.read_text().splitlines()]


def test_a_resumed_run_repeats_the_steps_after_its_checkpoint(path, capsys):
    metrics = MetricsFile(str(path))
    metrics.rewind(5)
    assert path.read_text() == "".join(TEXT[:3])
    metrics.append({"step": 6, "eval_accuracy": 0.9})
    assert [line["step"] for line in metrics.evaluations()] == [4, 6]
    assert [line["step"] for line in metrics.read()] == [2, 4, 4, 6]
    metrics.rewind(4)
    assert [line["step"] for line in metrics.evaluations()] == [4]
    assert capsys.readouterr().out == ""


def test_an_intact_file_is_not_rewritten(path):
    before = os.stat(path)
    MetricsFile(str(path)).rewind(6)
    assert os.stat(path) == before


@pytest.mark.parametrize(
    "bad",
    [
        "garbage\n",
        "\n",
        "{}\n",
        '{"step": "4"}\n',
        '{"step": -1}\n',
        '{"step": 1e3}\n',
        '{"step": 3, "loss": "low"}\n',
        '{"step": 3, "eval_accuracy": 7}\n',
        "[" * 10_000 + "\n",
        '{"step": 3, "step": 4}\n',
    ],
)
def test_a_damaged_middle_is_dropped_once_and_kept_under_another_name(path, capsys, bad):
    damaged = "".join([TEXT[0], bad, *TEXT[1:]])
    path.write_text(damaged)
    metrics = MetricsFile(str(path))
    assert [line["step"] for line in metrics.read()] == [2, 4, 4, 6]
    metrics.rewind(6)
    expected = f"warning: {path}: removed 1 damaged line(s); backup: {path}.damaged\n"
    assert capsys.readouterr().out == expected
    assert path.read_text() == "".join(TEXT)
    assert (path.parent / "metrics.jsonl.damaged").read_text() == damaged
    metrics.rewind(6)
    assert capsys.readouterr().out == ""


def test_a_truncated_tail_is_dropped(path, capsys):
    path.write_text("".join(TEXT)[:-5])
    metrics = MetricsFile(str(path))
    metrics.rewind(6)
    assert "removed 1 damaged line(s)\n" in capsys.readouterr().out
    assert steps(path) == [2, 4, 4]
    metrics.append({"step": 6})
    assert steps(path) == [2, 4, 4, 6]
    assert os.listdir(path.parent) == ["metrics.jsonl"]


def test_a_line_that_does_not_end_does_not_fill_memory(path):
    path.write_text("x" * (3 * _json.MAX_LINE_BYTES) + "\n" + "".join(TEXT))
    metrics = MetricsFile(str(path))
    metrics.rewind(6)
    assert path.read_text() == "".join(TEXT)


def test_evaluations_do_not_read_the_file_again(path, monkeypatch):
    metrics = MetricsFile(str(path))
    metrics.rewind(6)
    monkeypatch.setattr(_json, "raw_lines", None)
    metrics.append({"step": 8, "eval_accuracy": 0.25})
    assert [line["eval_accuracy"] for line in metrics.evaluations()] == [0.75, 0.25]


def test_special_file_is_an_error_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "metrics.jsonl")
    metrics = MetricsFile(str(tmp_path / "metrics.jsonl"))
    with pytest.raises(_checks.UserError, match=r"metrics.jsonl cannot be used: .*Move it away"):
        metrics.rewind(0)
    with pytest.raises(OSError, match="No such device|not a regular file"):
        metrics.append({"step": 1})


def test_curves_that_would_replace_another_file_are_an_error_before_the_run(tmp_path):
    pytest.importorskip("matplotlib")
    (tmp_path / "curves.png").mkdir()
    import types

    resolved = types.SimpleNamespace(eval_every_steps=0, steps_per_epoch=1)
    with pytest.raises(_checks.UserError, match=r"curves.png cannot be used: .*Move it away"):
        Curves(resolved, str(tmp_path), MetricsFile("x"))


def test_evaluation_appended_before_the_file_was_read_is_returned_once(path):
    metrics = MetricsFile(path)
    metrics.append({"step": 8, "eval_accuracy": 0.25})
    assert [line["step"] for line in metrics.evaluations()].count(8) == 1
