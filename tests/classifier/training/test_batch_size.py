"""`--batch_size=auto`."""

import json

import numpy as np
import pytest
import tensorflow as tf

from classifier.config.data import AUTO_BATCH
from classifier.resolve import cluster
from classifier.training import batch_size
from classifier.training import run as training
from slim import _checks, _memory

GB = 1 << 30


@pytest.mark.parametrize("num_samples, parts, sizes", [
    (10_000, 1, [256, 128, 64, 32, 16, 8, 4, 2, 1]),
    (300, 1, [16, 8, 4, 2, 1]),
    (300, 4, [4, 2, 1]),
    (5, 1, [1]),
])  # fmt: skip
def test_an_epoch_has_ten_steps(num_samples, parts, sizes):
    assert batch_size.candidates(num_samples, parts) == sizes


@pytest.fixture
def trials(monkeypatch):
    """Replaces the steps by ones of 100 MB and 50 MB an image; the sizes are listed."""
    sizes = []
    monkeypatch.setattr(batch_size, "_trial", lambda *_: sizes.append)
    monkeypatch.setattr(_memory, "resident_bytes", lambda: GB)
    monkeypatch.setattr(
        batch_size, "_peak_bytes", lambda trial, n: (trial(n), GB + 100e6 + 50e6 * n)[1]
    )
    return sizes


@pytest.mark.parametrize("available, expected", [(64 * GB, 128), (2 * GB, 16), (0.35 * GB, 1)])
def test_the_largest_power_of_two_within_half_of_the_memory(
    resolved, trials, monkeypatch, capsys, available, expected
):
    monkeypatch.setattr(_memory, "available_bytes", lambda: available)
    run = resolved(batch_size=AUTO_BATCH)
    assert batch_size.find_batch_size(run, tf.distribute.get_strategy()) == expected
    assert 100e6 + 50e6 * expected <= available / 2
    assert expected == 128 or 100e6 + 50e6 * 2 * expected > available / 2
    assert f"batch size: {expected}, by memory, at most 128" in capsys.readouterr().out
    assert trials == [2, 8]


def test_batches_that_do_not_fit_a_gpu_are_halved(resolved, monkeypatch, capsys):
    def trial(size):
        if size > 32:
            raise tf.errors.ResourceExhaustedError(None, None, "OOM")

    monkeypatch.setattr(batch_size, "_usable_bytes", lambda run: None)
    monkeypatch.setattr(batch_size, "_trial", lambda *_: trial)
    strategy = tf.distribute.get_strategy()
    assert batch_size.find_batch_size(resolved(batch_size=AUTO_BATCH), strategy) == 32


def test_errors(resolved, trials, monkeypatch):
    run, strategy = resolved(batch_size=AUTO_BATCH), tf.distribute.get_strategy()
    monkeypatch.setattr(_memory, "available_bytes", lambda: 1000)
    with pytest.raises(_checks.UserError, match="not enough for a step of one image"):
        batch_size.find_batch_size(run, strategy)
    monkeypatch.setattr(_memory, "available_bytes", lambda: None)
    with pytest.raises(_checks.UserError, match="needs to know the available memory"):
        batch_size.find_batch_size(run, strategy)
    workers = cluster.Cluster(("a:1", "b:1"), 0)
    with pytest.raises(_checks.UserError, match=r"batch_size=auto supports a single worker"):
        training.check_automatic(run, workers)


def test_the_memory_of_a_step_is_measured():
    kept = []
    peak = batch_size._peak_bytes(lambda n: kept.append(np.ones(n << 20, np.uint8)), 64)
    assert peak >= _memory.resident_bytes() - (1 << 20) > 64 << 20


@pytest.mark.slow
def test_a_run_chooses_stores_and_keeps_its_batch_size(train, tmp_path, monkeypatch):
    values = {"batch_size": "auto", "finetune": "all", "learning_rate": "auto"}
    answer = train(tmp_path / "run", **values)
    assert answer.code == 0, answer.err
    assert answer.out[0].startswith("batch size: 128, by memory, at most 128 (")
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["options"]["batch_size"] == config["resolved"]["global_batch_size"] == 128
    monkeypatch.setattr(training, "find_batch_size", None)
    answer = train(tmp_path / "run", **values | {"max_number_of_steps": 3})
    assert answer.code == 0, answer.err
    assert not [line for line in answer.out if "batch size:" in line or "batch_size:" in line]
    (tmp_path / "run" / "config.json").unlink()
    answer = train(tmp_path / "run", **values | {"max_number_of_steps": 4})
    assert "--batch_size=auto needs the config.json of the run to resume" in answer.err[0]


@pytest.mark.slow
@pytest.mark.skipif(_memory.available_bytes() is None, reason="needs the memory of Linux")
def test_the_memory_of_a_large_batch_is_predicted(resolved):
    run = resolved(model_name="mobilenet_v1_025", train_image_size=(96, 96), batch_size=AUTO_BATCH)
    trial = batch_size._trial(run, tf.distribute.get_strategy(), None)
    low, high, large = (batch_size._peak_bytes(trial, size) for size in (2, 8, 128))
    # Of this process, which may reuse memory of earlier tests.
    predicted, actual = batch_size.extrapolated(128, low, high) - high, large - high
    assert 0.7 * actual < predicted < 4 * actual, (low, high, large)
