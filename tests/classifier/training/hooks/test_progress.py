"""What the log lines and metrics.jsonl say of a run's speed."""

import time
import types

from classifier.training.hooks.progress import MetricsFile, Progress
from slim import learning
from tests.slim import tiny

ASIDE = 0.2  # seconds that a hook takes after each step, of which one takes milliseconds


class Sleepy(learning.Hook):
    """Takes its time, as an evaluation does."""

    def after_steps(self, run, numbers):
        time.sleep(ASIDE)


def test_the_speed_is_that_of_the_steps_alone(tmp_path, capsys):
    metrics = MetricsFile(str(tmp_path / "metrics.jsonl"))
    resolved = types.SimpleNamespace(steps_per_epoch=4, global_batch_size=16)
    hooks = [Progress(resolved, 2, metrics), Sleepy()]
    learning.train(tiny.train_op(), str(tmp_path), tiny.batches(), number_of_steps=6, hooks=hooks)
    _, *lines = metrics.read()  # the first counts the making of the step
    assert [line["step"] for line in lines] == [4, 6]
    slowed_down = 16 / ASIDE
    assert all(line["images_per_second"] > 3 * slowed_down for line in lines)
    assert "eta 0:00:00" in capsys.readouterr().out.splitlines()[1]
