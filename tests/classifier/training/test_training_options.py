"""Options of the optimizer, the learning rate and the step: each changes the run."""

import json

import numpy as np
import pytest
import tensorflow as tf

pytestmark = pytest.mark.slow


def lines(folder):
    found = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [line for line in found if "loss" in line]


def rates(train, folder, steps=4, **more):
    told = train(folder, log_every_n_steps=1, **more | {"max_number_of_steps": steps})
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


def weights(folder):
    names = [name for name, _ in tf.train.list_variables(str(folder))]
    return {name: tf.train.load_variable(str(folder), name) for name in names}


# Dropout is the one thing in lenet that differs between a batch and its parts.
SAME = {"optimizer": "sgd", "learning_rate": 0.01, "max_number_of_steps": 4}


def test_four_batches_of_8_are_one_of_32(train, tmp_path, monkeypatch):
    monkeypatch.setattr(tf.nn.experimental, "stateless_dropout", lambda x, *_, **__: x)
    for name, more in {
        "parts": {"accumulate_steps": 4, "batch_size": 8},
        "whole": {"batch_size": 32},
    }.items():
        told = train(tmp_path / name, log_every_n_steps=1, **SAME | more)
        assert (told.code, told.err) == (0, [])
    parts, whole = weights(tmp_path / "parts"), weights(tmp_path / "whole")
    assert set(parts) == set(whole)
    for name, value in whole.items():
        np.testing.assert_allclose(parts[name], value, rtol=1e-5, atol=1e-6, err_msg=name)
    losses = [[line["loss"] for line in lines(tmp_path / name)] for name in ("parts", "whole")]
    np.testing.assert_allclose(*losses, rtol=1e-5)


def test_accumulated_steps_resume_bit_for_bit(train, tmp_path):
    more = {"accumulate_steps": 2, "optimizer": "adamw", "learning_rate": 0.001}
    train(tmp_path / "whole", **more, max_number_of_steps=4)
    train(tmp_path / "halves", **more, max_number_of_steps=2)
    train(tmp_path / "halves", **more, max_number_of_steps=4)
    wanted, found = weights(tmp_path / "whole"), weights(tmp_path / "halves")
    assert all(value.tobytes() == found[name].tobytes() for name, value in wanted.items())


def test_multipliers_by_scope(train, tmp_path):
    more = SAME | {"learning_rate_multipliers": "LeNet:0,LeNet/*4:1", "weight_decay": 0}
    told = train(tmp_path / "a", **more | {"max_number_of_steps": 1})
    assert (told.code, told.err) == (0, [])
    train(tmp_path / "a", **more)
    first = weights(str(tmp_path / "a" / "model.ckpt-1"))
    last = weights(str(tmp_path / "a" / "model.ckpt-4"))
    moved = {name for name in last if (first[name] != last[name]).any()}
    assert moved == {"LeNet/fc4/weights", "LeNet/fc4/biases", "global_step"}
    told = train(tmp_path / "b", **SAME | {"learning_rate_multipliers": "LeNet/fc5:2"})
    assert told.code == 2
    assert "learning_rate_multipliers: 'LeNet/fc5' matches no variable; did you" in told.err[0]


def test_xla_and_determinism_are_asked_for(train, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(
        tf.config.experimental, "enable_op_determinism", lambda: asked.append("determinism")
    )
    function = tf.function

    def spied(*arguments, jit_compile=None, **more):
        asked.extend(["xla"] * bool(jit_compile))
        return function(*arguments, jit_compile=jit_compile, **more)

    monkeypatch.setattr(tf, "function", spied)
    train(tmp_path / "neither")
    assert not asked, "on a CPU XLA is not automatic"
    told = train(tmp_path / "both", deterministic=True, jit_compile="true")
    assert (told.code, told.err) == (0, [])
    assert asked == ["determinism", "xla"]


def test_class_weights_and_balanced_sampling_change_the_run(train, tmp_path):
    weights_file = tmp_path / "weights.json"
    names = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
    weights_file.write_text(json.dumps({name: i + 1 for i, name in enumerate(names)}))
    losses = {}
    for name, more in {
        "plain": {},
        "auto": {"class_weights": "auto"},
        "file": {"class_weights": weights_file},
        "balanced": {"balanced_sampling": True},
    }.items():
        assert len(rates(train, tmp_path / name, **SAME | more)) == 4
        losses[name] = lines(tmp_path / name)[-1]["loss"]
    assert len(set(losses.values())) == 4, losses
    told = train(tmp_path / "balanced", max_number_of_steps=5)
    assert told.code == 2
    assert "balanced_sampling: True -> False" in told.err[0]


def test_balanced_runs_resume_bit_for_bit(train, tmp_path):
    train(tmp_path / "whole", balanced_sampling=True, max_number_of_steps=4)
    train(tmp_path / "halves", balanced_sampling=True, max_number_of_steps=2)
    train(tmp_path / "halves", balanced_sampling=True, max_number_of_steps=4)
    wanted, found = weights(tmp_path / "whole"), weights(tmp_path / "halves")
    assert all(value.tobytes() == found[name].tobytes() for name, value in wanted.items())


def test_recomputing_gradients(train, tmp_path):
    told = train(tmp_path / "lenet", recompute_gradients=True)
    assert told.code == 2
    assert "recompute_gradients has no effect: the network has no segments" in told.err[0]
    more = SAME | {"model_name": "mobilenet_v1_025", "train_image_size": 32}
    for name, choice in {"plain": False, "recomputed": True}.items():
        assert len(rates(train, tmp_path / name, **more, recompute_gradients=choice)) == 4
    losses = [[line["loss"] for line in lines(tmp_path / n)] for n in ("plain", "recomputed")]
    np.testing.assert_allclose(*losses, rtol=1e-4)


def test_pictures_of_one_channel_for_a_preprocessing_in_color(train, evaluate, tmp_path):
    run = tmp_path / "run"
    assert train(run, preprocessing_name="inception").code == 0
    assert json.loads((run / "model_info.json").read_text())["num_channels"] == 3
    done = evaluate(run)
    assert done.code == 0, done.err
