"""Speed in log lines and metrics.jsonl."""

import re
import sys
import time
import types

from classifier.training.hooks.progress import MetricsFile, Progress, log_line
from slim import learning
from tests.slim import tiny

HOOK_SECONDS = 0.2  # a step takes milliseconds


class SlowHook(learning.Hook):
    """A slow hook, as an evaluation is."""

    def after_steps(self, run, numbers):
        time.sleep(HOOK_SECONDS)


def test_speed_excludes_hooks(tmp_path, capsys):
    metrics = MetricsFile(str(tmp_path / "metrics.jsonl"))
    model = types.SimpleNamespace(multi_label=False)
    resolved = types.SimpleNamespace(steps_per_epoch=4, global_batch_size=16, model=model)
    hooks = [Progress(resolved, 2, metrics), SlowHook()]
    arguments = {"number_of_steps": 6, "hooks": hooks, "log_every_n_steps": 0}
    learning.train(tiny.train_op(), str(tmp_path), tiny.batches(), **arguments)
    _, *lines = metrics.read()  # the first includes building the step
    assert [line["step"] for line in lines] == [4, 6]
    slowed_down = 16 / HOOK_SECONDS
    assert all(line["images_per_second"] > 3 * slowed_down for line in lines)
    first, second, *_ = capsys.readouterr().out.splitlines()
    assert "eta 0:00:00 (6 steps)" in second
    # As scripts parse the log of TF-Slim.
    assert re.match(r"global step 2: loss = [\d.]+ \([\d.]+ sec/step\)", first)


def test_a_log_line_starts_as_in_tf_slim():
    values = {
        "step": 100,
        "epoch": 2.5,
        "loss": 2.31,
        "accuracy": 0.5,
        "learning_rate": 0.01,
        "images_per_second": 128.0,
        "data_wait": 0.03,
    }
    line = "global step 100: loss = 2.3100 (0.250 sec/step) epoch 2.50 acc 0.5000 lr 0.01"
    line += " 128.0 img/s data-wait 3%"
    assert log_line(values, None, 0.25) == line
    assert log_line(values, 500, 0.25) == f"{line} eta 0:01:40 (500 steps)"


def test_lines_of_other_hooks_are_above_the_bar_of_a_terminal(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    stdout = sys.stdout
    monkeypatch.setattr(stdout, "isatty", lambda: True, raising=False)
    resolved = types.SimpleNamespace(model=types.SimpleNamespace(multi_label=False))
    progress = Progress(resolved, 2, MetricsFile(str(tmp_path / "metrics.jsonl")))
    run = types.SimpleNamespace(step=3, number_of_steps=6, overhead_seconds=0.0)
    progress.begin(run)
    print("evaluated", 3)
    progress.end(run)
    assert sys.stdout is stdout
    # The bar is removed, the line is printed, and the bar is drawn below it.
    assert re.search(r"3/6 .*\r +\revaluated 3\n\r.*3/6 ", capsys.readouterr().out)
