"""Speed in log lines and metrics.jsonl."""

import time
import types

from classifier.training.hooks.progress import MetricsFile, Progress
from slim import learning
from tests.slim import tiny

HOOK_SECONDS = 0.2  # a step takes milliseconds


class SlowHook(learning.Hook):
    """A slow hook, as an evaluation is."""

    def after_steps(self, run, numbers):
        time.sleep(HOOK_SECONDS)


def test_speed_excludes_hooks(tmp_path, capsys):
    metrics = MetricsFile(str(tmp_path / "metrics.jsonl"))
    resolved = types.SimpleNamespace(steps_per_epoch=4, global_batch_size=16)
    hooks = [Progress(resolved, 2, metrics), SlowHook()]
    learning.train(tiny.train_op(), str(tmp_path), tiny.batches(), number_of_steps=6, hooks=hooks)
    _, *lines = metrics.read()  # the first includes building the step
    assert [line["step"] for line in lines] == [4, 6]
    with_hooks = 16 / HOOK_SECONDS
    assert all(line["images_per_second"] > 3 * with_hooks for line in lines)
    assert "eta 0:00:00" in capsys.readouterr().out.splitlines()[1]
