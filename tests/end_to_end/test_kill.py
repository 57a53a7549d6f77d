"""SIGKILL at 50 random instants: every run, resumed, ends as an undisturbed one.

The run has all the state that a resume has to restore: Adam's slots, moving averages, augmentation,
dropout, accumulated gradients, evaluation that keeps the best checkpoint.
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
    "model_name": "cifarnet",  # random crops, flips and colors; dropout
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
        text = started.output.read_text()
        assert code == 0, text
        return text


@pytest.fixture(scope="module")
def trainer(digits):
    with forked.serve() as scripts:
        yield Trainer(scripts, digits)


def final_bytes(train_dir):
    """Returns the contents of the last and the best checkpoint's files."""
    files = [*train_dir.glob(f"model.ckpt-{STEPS}.*"), *train_dir.glob("best/*")]
    assert len(files) >= 5
    return {str(file.relative_to(train_dir)): file.read_bytes() for file in files}


def names(train_dir):
    """Returns the names of a run's files, except event files, whose names contain the time."""
    files = (path.relative_to(train_dir) for path in train_dir.rglob("*") if path.is_file())
    return {str(path) for path in files if not path.name.startswith("events.")}


def logged_steps(train_dir):
    """Returns the lines of metrics.jsonl without the values that depend on the clock."""
    timed = {"time", "images_per_second", "data_wait"}
    lines = map(json.loads, (train_dir / "metrics.jsonl").read_text().splitlines())
    return [
        {k: v for k, v in line.items() if k not in timed and "second" not in k} for line in lines
    ]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, trainer):
    """A run that was not disturbed, and the seconds that such a run takes."""
    directory = tmp_path_factory.mktemp("undisturbed")
    trainer.run(directory / "first")  # which takes longer
    start = time.monotonic()
    trainer.run(directory / "run")
    return directory / "run", time.monotonic() - start


def kill(trainer, train_dir, seconds):
    """Starts a run, kills it after this many seconds, and returns whether it was still running."""
    started = trainer.start(train_dir)
    time.sleep(seconds)
    return trainer.kill(started) == -signal.SIGKILL


@pytest.mark.parametrize("seed", range(50))
def test_resume_after_sigkill_at_a_random_instant_is_bit_identical(
    tmp_path, trainer, undisturbed, seed
):
    expected, seconds = undisturbed
    train_dir = tmp_path / "run"
    draws = random.Random(seed)
    while not kill(trainer, train_dir, draws.uniform(0.1, 1.0) * seconds):
        shutil.rmtree(train_dir)
    saved = list(train_dir.glob("model.ckpt-*.index"))
    output = trainer.run(train_dir)
    assert f"Resuming {train_dir} from step" in output or not saved, "started from scratch"
    assert final_bytes(train_dir) == final_bytes(expected)
    assert names(train_dir) == names(expected)
    assert logged_steps(train_dir) == logged_steps(expected)
