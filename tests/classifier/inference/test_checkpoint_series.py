"""All checkpoints of a run compared, and each evaluated as it is written."""

import dataclasses
import json
import signal
import threading
import time
import types

import numpy as np
import pytest

from classifier.checkpoints import sources
from classifier.cli import flags
from classifier.config import options
from classifier.config.evaluation import EvalConfig
from classifier.inference import checkpoint_series
from classifier.run_directory import RunDirectory
from slim import _checks, checkpoints, signals
from slim.checkpoints import _follow
from tests.classifier.inference.test_report import EVALUATION


class Trainer:
    """Writes tiny checkpoints into a run's directory.

    Args:
      directory: of the run.
      resolved: values of its config.json.
    """

    def __init__(self, directory, **resolved):
        self.directory = directory
        RunDirectory(str(directory)).write_config({"options": {}, "resolved": resolved})

    def save(self, step):
        values = {"w": np.float32(step), "global_step": np.int64(step)}
        return checkpoints.save(str(self.directory / f"model.ckpt-{step}"), values)

    def remove(self, step):
        for path in self.directory.glob(f"model.ckpt-{step}.*"):
            path.unlink()


class Split:
    """Stands for a `SplitEvaluation`: the accuracy depends on the step, with the best at 20."""

    def __init__(self, config, keys=("",)):
        self.resolved = type("Resolved", (), {
            "split_name": "validation", "num_samples": 100, "dataset_name": "digits",
            "config": config, "use_moving_averages": False,
        })()  # fmt: skip
        self.classifier = type("Classifier", (), {"step": None})()
        self._keys = keys

    def restore(self, checkpoint):
        self.classifier.step = int(checkpoint.get("global_step"))

    def evaluate_each(self):
        accuracy = 1 - abs(self.classifier.step - 20) / 100
        for key in self._keys:
            yield key, dataclasses.replace(EVALUATION, accuracy=accuracy - 0.1 * len(key) / 4)

    def newly_skipped(self):
        return []


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Returns a function that evaluates a directory's checkpoints, and the options it passes."""

    def begin(resolved_config, checkpoint, keys):
        split = Split(resolved_config, keys)
        split.restore(checkpoint)
        return split

    def start(directory, keys=("",), **values):
        config = options.build(EvalConfig, train_dir=str(directory), **values)
        monkeypatch.setattr(checkpoint_series, "evaluation", lambda config, info, run: config)
        monkeypatch.setattr(checkpoint_series, "SplitEvaluation",
                            lambda config, checkpoint: begin(config, checkpoint, keys))  # fmt: skip
        monkeypatch.setattr(checkpoint_series.tables, "report_start", lambda split: None)
        checkpoint_series.run(config)

    return start


def test_all_checkpoints_are_compared_and_the_best_is_named(run, tmp_path, capsys):
    trainer = Trainer(tmp_path)
    for step in (10, 20, 30, 40):
        trainer.save(step)
    run(tmp_path, checkpoint_path="all", eval_json=str(tmp_path / "new" / "e.json"))
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == f"best: {tmp_path}/model.ckpt-20 (accuracy 1.0000)"
    assert [line.split()[:3] for line in lines[-5:-1]] == [
        ["step", str(step), f"{1 - abs(step - 20) / 100:.4f}"] for step in (10, 20, 30, 40)
    ]
    written = json.loads((tmp_path / "new" / "e.json").read_text())
    assert (written["step"], written["accuracy"], written["split"]) == (20, 1, "validation")
    assert [row["step"] for row in written["checkpoints"]] == [10, 20, 30, 40]
    assert len(list((tmp_path / "eval").iterdir())) == 1


def test_the_best_checkpoint_of_the_run_is_compared_too(run, tmp_path, capsys):
    trainer = Trainer(tmp_path)
    trainer.save(30)
    values = {"w": np.float32(20), "global_step": np.int64(20)}
    checkpoints.save(str(tmp_path / "best" / "model.ckpt-20"), values)
    record = {"checkpoint": "model.ckpt-20", "step": 20, "metric": "eval_accuracy", "value": 0.9,
              "higher_is_better": True}  # fmt: skip
    (tmp_path / "best" / "best.json").write_text(json.dumps(record))
    run(tmp_path, checkpoint_path="all")
    assert f"best: {tmp_path}/best/model.ckpt-20" in capsys.readouterr().out


def test_averages_and_weights_are_rows_of_their_own(run, tmp_path, capsys):
    Trainer(tmp_path).save(20)
    run(tmp_path, keys=("", "raw_"), checkpoint_path="all", use_averages="both")
    out = capsys.readouterr().out
    assert "step 20 averages    1.0000" in out
    assert "step 20 weights     0.9000" in out
    assert "Without moving averages:\n" in out


def test_a_loop_evaluates_each_checkpoint_until_the_last_step(run, tmp_path, capsys):
    trainer = Trainer(tmp_path, number_of_steps=60, save_every_steps=10)
    trainer.save(20)
    thread = threading.Timer(0.3, lambda: [trainer.save(step) for step in (30, 60, 70)])
    thread.start()
    run(tmp_path, eval_loop=True, eval_interval_secs=0.0)
    thread.join()
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if line.startswith(("step", "deleted"))][:5] == [
        "deleted before it could be evaluated: step 10",
        f"step 20, {tmp_path}/model.ckpt-20",
        f"step 30, {tmp_path}/model.ckpt-30",
        "deleted before it could be evaluated: step 40, 50",
        f"step 60, {tmp_path}/model.ckpt-60",
    ]
    assert "checkpoints evaluated: 3, deleted before: 3" in lines


def test_a_loop_survives_a_checkpoint_that_is_removed_meanwhile(run, tmp_path, capsys, monkeypatch):
    trainer = Trainer(tmp_path, number_of_steps=30)
    for step in (10, 20, 30):
        trainer.save(step)
    open_prefix = sources.open_prefix

    def opened(prefix):
        if prefix.endswith("-20"):
            trainer.remove(20)
        return open_prefix(prefix)

    monkeypatch.setattr(sources, "open_prefix", opened)
    run(tmp_path, eval_loop=True, eval_interval_secs=0.0)
    out = capsys.readouterr().out
    assert "deleted before it could be evaluated: step 20" in out
    assert "checkpoints evaluated: 2, deleted before: 1" in out


def test_a_loop_ends_after_the_timeout(run, tmp_path, capsys):
    Trainer(tmp_path, number_of_steps=30).save(20)
    run(tmp_path, eval_loop=True, timeout_secs=0.1, eval_interval_secs=0.0)
    assert "checkpoints evaluated: 1\n" in capsys.readouterr().out
    with pytest.raises(_checks.RunError, match="no checkpoint of .*none could be evaluated"):
        run(tmp_path / "none", eval_loop=True, timeout_secs=0.1)


def test_a_loop_checks_for_checkpoints_at_the_interval(run, tmp_path, monkeypatch):
    Trainer(tmp_path, number_of_steps=30).save(20)
    sleeps = []

    def sleep(seconds):
        sleeps.append(seconds)
        Trainer(tmp_path, number_of_steps=30).save(30)

    # Of this module alone: other threads sleep too.
    clock = types.SimpleNamespace(sleep=sleep, monotonic=time.monotonic, time=time.time)
    monkeypatch.setattr(_follow, "time", clock)
    run(tmp_path, eval_loop=True, eval_interval_secs=40.0)
    assert 35 < max(sleeps) <= 40


def test_a_run_without_checkpoints_cannot_be_compared(run, tmp_path):
    with pytest.raises(_checks.UserError, match="No checkpoint in"):
        run(tmp_path, checkpoint_path="all")


def test_a_signal_ends_a_loop_with_the_number_of_evaluations(run, tmp_path):
    Trainer(tmp_path).save(20)
    stop = threading.Timer(0.5, signal.raise_signal, [signal.SIGTERM])
    stop.start()
    with pytest.raises(signals.Stopped) as caught, signals.raise_on_signals():
        run(tmp_path, eval_loop=True, eval_interval_secs=0.0)
    stop.join()
    assert caught.value.__notes__ == ["checkpoints evaluated: 1"]


def test_a_loop_may_start_before_its_run(tmp_path):
    argv = ["eval", f"--train_dir={tmp_path}/later", "--eval_loop"]
    assert flags.parse(EvalConfig, argv).run.eval_loop
    with pytest.raises(_checks.UserError, match="--train_dir=.* does not exist"):
        flags.parse(EvalConfig, argv[:2])
