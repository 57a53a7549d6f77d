"""Options of the optimizer, the learning rate and the step: each changes the run."""

import json

import pytest
import tensorflow as tf

pytestmark = pytest.mark.slow


def lines(folder):
    found = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [line for line in found if "loss" in line]


def rates(train, folder, steps=4, **more):
    told = train(folder, log_every_n_steps=1, max_number_of_steps=steps, **more)
    assert (told.code, told.err) == (0, [])
    return [line["learning_rate"] for line in lines(folder)]


def test_the_learning_rate_follows_its_flags(train, tmp_path):
    fixed = {"learning_rate": 1 / 64, "learning_rate_decay_type": "fixed"}
    warm = rates(train, tmp_path / "warm", **fixed, warmup_steps=2)
    assert warm == [0.0, 1 / 128, 1 / 64, 1 / 64]
    piecewise = fixed | {"learning_rate_decay_type": "piecewise", "piecewise_steps": "1,2"}
    piecewise["piecewise_rates"] = "0.015,0.0078125"
    wanted = [1 / 64, 1 / 64, pytest.approx(0.015), 1 / 128]
    assert rates(train, tmp_path / "piecewise", **piecewise) == wanted
    cosine = fixed | {"learning_rate_decay_type": "cosine", "decay_steps": 2}
    cosine["end_learning_rate"] = 0
    wanted = [1 / 64, pytest.approx(1 / 128), 0.0, 0.0]
    assert rates(train, tmp_path / "cosine", **cosine) == wanted


def test_the_end_in_epochs(train, tmp_path):
    # 1437 images in batches of 480.
    more = {"batch_size": 480, "max_number_of_epochs": 1.0}
    told = train(tmp_path, max_number_of_steps="", log_every_n_steps=1, **more)
    assert (told.code, told.err) == (0, [])
    assert [line["step"] for line in lines(tmp_path)] == [1, 2, 3]


def test_evaluations_each_so_many_steps(train, tmp_path):
    told = train(tmp_path, max_number_of_steps=3, eval_every_steps=2)
    assert (told.code, told.err) == (0, [])
    text = (tmp_path / "metrics.jsonl").read_text()
    found = [json.loads(line) for line in text.splitlines() if "eval_accuracy" in line]
    assert [line["step"] for line in found] == [2, 3]


def test_the_newer_optimizers(train, tmp_path):
    losses = {}
    for name in ("adamw", "lamb", "lion", "muon", "adafactor"):
        folder = tmp_path / name
        assert len(rates(train, folder, optimizer=name, learning_rate=0.001)) == 4
        losses[name] = lines(folder)[-1]["loss"]
        slots = {n for n, _ in tf.train.list_variables(str(folder)) if name in n.lower()}
        assert slots, "no slots saved by name"
    assert len(set(losses.values())) == 5
