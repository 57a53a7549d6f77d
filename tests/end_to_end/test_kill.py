"""kill -9 at 50 random instants: every run, resumed, ends as the one that nobody disturbed.

The run has all that could lose its place: Adam's slots, moving averages, augmentation, dropout,
accumulated gradients, evaluation that keeps the best checkpoint.
"""

import json
import random
import shutil
import signal
import time

import commands
import forked
import pytest

pytestmark = pytest.mark.slow

STEPS = 60
RUN = {
    "model_name": "cifarnet",  # random crops, flips and colours; dropout
    "optimizer": "adam",
    "learning_rate": 0.001,
    "moving_average_decay": 0.9,
    "accumulate_steps": 2,
    "eval_every_steps": 20,
    "save_interval_steps": 5,
    "log_every_n_steps": 5,
}


class Trainer:
    """Starts runs in forks of a process with TensorFlow loaded."""

    def __init__(self, scripts, digits):
        self._scripts, self._digits = scripts, digits

    def start(self, train_dir):
        flags = commands.train_flags(train_dir, self._digits, STEPS, **RUN)
        output = train_dir.with_suffix(".txt")
        return self._scripts.start("train_image_classifier.py", *flags, output=output)

    def kill(self, started):
        return self._scripts.kill(started)

    def run(self, train_dir):
        started = self.start(train_dir)
        code = self._scripts.wait(started)
        said = started.output.read_text()
        assert code == 0, said
        return said


@pytest.fixture(scope="module")
def trainer(digits):
    with forked.serve() as scripts:
        yield Trainer(scripts, digits)


def final_bytes(train_dir):
    """Returns the files of the last and of the best checkpoint."""
    files = [*train_dir.glob(f"model.ckpt-{STEPS}.*"), *train_dir.glob("best/*")]
    assert len(files) >= 5
    return {str(file.relative_to(train_dir)): file.read_bytes() for file in files}


def names(train_dir):
    """Returns the files of a run but for events, which have the time in their names."""
    files = (path.relative_to(train_dir) for path in train_dir.rglob("*") if path.is_file())
    return {str(path) for path in files if not path.name.startswith("events.")}


def steps_told(train_dir):
    """Returns what does not depend on the clock in metrics.jsonl."""
    timed = {"time", "images_per_second", "data_wait"}
    lines = map(json.loads, (train_dir / "metrics.jsonl").read_text().splitlines())
    return [
        {k: v for k, v in line.items() if k not in timed and "second" not in k} for line in lines
    ]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, trainer):
    """A run that nobody disturbed, and the seconds that such a run takes."""
    folder = tmp_path_factory.mktemp("undisturbed")
    trainer.run(folder / "first")  # which takes longer
    begun = time.monotonic()
    trainer.run(folder / "run")
    return folder / "run", time.monotonic() - begun


def kill(trainer, train_dir, seconds):
    """Starts a run, kills it after so many seconds, and returns whether it was not over before."""
    started = trainer.start(train_dir)
    time.sleep(seconds)
    return trainer.kill(started) == -signal.SIGKILL


@pytest.mark.parametrize("moment", range(50))
def test_killed_at_a_random_instant(tmp_path, trainer, undisturbed, moment):
    wanted, seconds = undisturbed
    train_dir = tmp_path / "run"
    draws = random.Random(moment)
    while not kill(trainer, train_dir, draws.uniform(0.1, 1.0) * seconds):
        shutil.rmtree(train_dir)
    saved = list(train_dir.glob("model.ckpt-*.index"))
    said = trainer.run(train_dir)
    assert f"Resuming {train_dir} from step" in said or not saved, "started from scratch"
    assert final_bytes(train_dir) == final_bytes(wanted)
    assert names(train_dir) == names(wanted)
    assert steps_told(train_dir) == steps_told(wanted)
