"""Effects of options of optimizer, learning rate and step on runs."""

import json

import numpy as np
import pytest
import tensorflow as tf

pytestmark = pytest.mark.slow


def lines(run_dir, key="loss"):
    metrics = [json.loads(line) for line in (run_dir / "metrics.jsonl").read_text().splitlines()]
    return [line for line in metrics if key in line]


def rates(train, run_dir, steps=4, **more):
    result = train(run_dir, log_every_n_steps=1, **more | {"max_number_of_steps": steps})
    assert (result.code, result.err) == (0, [])
    return [line["learning_rate"] for line in lines(run_dir)]


def test_the_learning_rate_follows_its_flags(train, tmp_path):
    fixed = {"learning_rate": 1 / 64, "learning_rate_decay_type": "fixed"}
    warm = rates(train, tmp_path / "warm", **fixed, warmup_steps=2)
    assert warm == [0.0, 1 / 128, 1 / 64, 1 / 64]
    piecewise = fixed | {"learning_rate_decay_type": "piecewise", "piecewise_steps": "1,2"}
    piecewise["piecewise_rates"] = "0.015,0.0078125"
    expected = [1 / 64, 1 / 64, pytest.approx(0.015), 1 / 128]
    assert rates(train, tmp_path / "piecewise", **piecewise) == expected
    cosine = fixed | {"learning_rate_decay_type": "cosine", "decay_steps": 2}
    cosine["end_learning_rate"] = 0
    expected = [1 / 64, pytest.approx(1 / 128), 0.0, 0.0]
    assert rates(train, tmp_path / "cosine", **cosine) == expected


def test_max_number_of_epochs_ends_the_run(train, tmp_path):
    # 1437 images in batches of 480.
    more = {"batch_size": 480, "max_number_of_epochs": 1.0}
    result = train(tmp_path, max_number_of_steps="", log_every_n_steps=1, **more)
    assert (result.code, result.err) == (0, [])
    assert [line["step"] for line in lines(tmp_path)] == [1, 2, 3]


def test_evaluations_at_the_interval_and_at_the_end(train, tmp_path):
    result = train(tmp_path, max_number_of_steps=3, eval_every_steps=2)
    assert (result.code, result.err) == (0, [])
    assert [line["step"] for line in lines(tmp_path, "eval_accuracy")] == [2, 3]


def test_newer_optimizers_train_and_save_their_slots(train, tmp_path):
    losses = {}
    for name in ("adamw", "lamb", "lion", "muon", "adafactor"):
        run_dir = tmp_path / name
        assert len(rates(train, run_dir, optimizer=name, learning_rate=0.001)) == 4
        losses[name] = lines(run_dir)[-1]["loss"]
        slots = {n for n, _ in tf.train.list_variables(str(run_dir)) if name in n.lower()}
        assert slots, "no slots saved by name"
    assert len(set(losses.values())) == 5


def weights(run_dir):
    names = [name for name, _ in tf.train.list_variables(str(run_dir))]
    return {name: tf.train.load_variable(str(run_dir), name) for name in names}


# In LeNet, only dropout differs between a batch and its parts.
SAME = {"optimizer": "sgd", "learning_rate": 0.01, "max_number_of_steps": 4}


def test_four_accumulated_batches_of_8_equal_one_of_32(train, tmp_path, monkeypatch):
    monkeypatch.setattr(tf.nn.experimental, "stateless_dropout", lambda x, *_, **__: x)
    for name, more in {
        "parts": {"accumulate_steps": 4, "batch_size": 8},
        "whole": {"batch_size": 32},
    }.items():
        result = train(tmp_path / name, log_every_n_steps=1, **SAME | more)
        assert (result.code, result.err) == (0, [])
    parts, whole = weights(tmp_path / "parts"), weights(tmp_path / "whole")
    assert set(parts) == set(whole)
    for name, value in whole.items():
        np.testing.assert_allclose(parts[name], value, rtol=1e-5, atol=1e-6, err_msg=name)
    losses = [[line["loss"] for line in lines(tmp_path / name)] for name in ("parts", "whole")]
    np.testing.assert_allclose(*losses, rtol=1e-5)


@pytest.mark.parametrize(
    "options",
    [
        {"accumulate_steps": 2, "optimizer": "adamw", "learning_rate": 0.001},
        {"balanced_sampling": True},
    ],
    ids=["accumulated", "balanced"],
)
def test_a_resumed_run_is_bit_identical(train, tmp_path, options):
    train(tmp_path / "uninterrupted", **options, max_number_of_steps=4)
    train(tmp_path / "resumed", **options, max_number_of_steps=2)
    train(tmp_path / "resumed", **options, max_number_of_steps=4)
    expected, actual = weights(tmp_path / "uninterrupted"), weights(tmp_path / "resumed")
    assert all(value.tobytes() == actual[name].tobytes() for name, value in expected.items())


def test_learning_rate_multipliers_by_scope(train, tmp_path):
    more = SAME | {"learning_rate_multipliers": "LeNet:0,LeNet/*4:1", "weight_decay": 0}
    result = train(tmp_path / "a", **more | {"max_number_of_steps": 1})
    assert (result.code, result.err) == (0, [])
    train(tmp_path / "a", **more)
    first = weights(str(tmp_path / "a" / "model.ckpt-1"))
    last = weights(str(tmp_path / "a" / "model.ckpt-4"))
    updated = {name for name in last if (first[name] != last[name]).any()}
    assert updated == {"LeNet/fc4/weights", "LeNet/fc4/biases", "global_step"}
    result = train(tmp_path / "b", **SAME | {"learning_rate_multipliers": "LeNet/fc5:2"})
    assert result.code == 2
    assert "learning_rate_multipliers: 'LeNet/fc5' matches no variable; did you" in result.err[0]


def test_xla_and_determinism_are_enabled(train, tmp_path, monkeypatch):
    enabled = []
    monkeypatch.setattr(
        tf.config.experimental, "enable_op_determinism", lambda: enabled.append("determinism")
    )
    function = tf.function

    def recorded(*arguments, jit_compile=None, **more):
        enabled.extend(["xla"] * bool(jit_compile))
        return function(*arguments, jit_compile=jit_compile, **more)

    monkeypatch.setattr(tf, "function", recorded)
    train(tmp_path / "neither")
    assert not enabled, "auto is off on a CPU"
    result = train(tmp_path / "both", deterministic=True, jit_compile="true")
    assert (result.code, result.err) == (0, [])
    assert enabled == ["determinism", "xla"]


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
    result = train(tmp_path / "balanced", max_number_of_steps=5)
    assert result.code == 2
    assert "balanced_sampling: True -> False" in result.err[0]


def test_recomputed_gradients_give_the_same_losses(train, tmp_path):
    result = train(tmp_path / "lenet", recompute_gradients=True)
    assert result.code == 2
    assert "recompute_gradients has no effect: the network has no segments" in result.err[0]
    more = SAME | {"model_name": "mobilenet_v1_025", "train_image_size": 32}
    for name, choice in {"plain": False, "recomputed": True}.items():
        assert len(rates(train, tmp_path / name, **more, recompute_gradients=choice)) == 4
    losses = [[line["loss"] for line in lines(tmp_path / n)] for n in ("plain", "recomputed")]
    np.testing.assert_allclose(*losses, rtol=1e-4)


def test_grayscale_images_with_a_preprocessing_for_color(train, evaluate, tmp_path):
    run = tmp_path / "run"
    assert train(run, preprocessing_name="inception").code == 0
    assert json.loads((run / "model_info.json").read_text())["num_channels"] == 3
    done = evaluate(run)
    assert done.code == 0, done.err
