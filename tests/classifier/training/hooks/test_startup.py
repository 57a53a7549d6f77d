"""Startup report of a run."""

import re

import pytest
import tensorflow as tf

from classifier.training.hooks import startup


@pytest.mark.parametrize(
    "gpus, devices, description",
    [
        ([], ["/device:CPU:0"], f"CPU:0 (no GPU visible to TensorFlow {tf.__version__})"),
        # As with --clone_on_cpu.
        (["gpu"], ["/device:CPU:0", "/device:CPU:1"], "CPU:0, CPU:1"),
        (["gpu"], ["/device:GPU:0"], "GPU:0"),
    ],
)
def test_description_of_devices(monkeypatch, gpus, devices, description):
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: gpus)
    assert startup.describe_devices(devices) == description


def test_options_without_effect_are_a_warning(train, tmp_path):
    flags = {"optimizer": "adam", "momentum": 0.8, "decay_steps": 5, "decay_per_clone": True}
    result = train(tmp_path, max_number_of_steps=1, **flags)
    assert result.code == 0, result.err
    optimizer, schedule = [line for line in result.out if line.startswith("warning: ")]
    assert "momentum=0.8 has n" in optimizer
    assert "decay_per_clone has n" in schedule


def test_a_resumed_run_ignores_the_checkpoint_path(train, tmp_path):
    result = train(tmp_path / "run", max_number_of_steps=1)
    assert "preprocessing threads: auto (TF-Slim: 4)" in result.out
    missing = tmp_path / "missing"
    result = train(
        tmp_path / "run", max_number_of_steps=2, checkpoint_path=missing,
        num_preprocessing_threads=2,
    )  # fmt: skip
    assert not any(line.startswith("preprocessing threads") for line in result.out)
    (origin,) = [line for line in result.out if line.startswith("Resuming ")]
    assert re.search(r"model\.ckpt-1, saved 0:0\d:\d\d ago\); --checkpoint_path=", origin)
    assert origin.endswith(f"={missing} is ignored (to start over from it, pass --restart)")


@pytest.mark.slow
def test_rmsprop_with_a_small_epsilon_and_a_large_learning_rate_is_a_warning(train, tmp_path):
    def warnings(name, **more):
        result = train(tmp_path / name, max_number_of_steps=1, optimizer="rmsprop", **more)
        return [line for line in result.out if line.startswith("warning: with opt_epsilon")]

    (warning,) = warnings("both", opt_epsilon=1e-8, learning_rate=0.01)
    assert "opt_epsilon=1e-08, rmsprop normalizes" in warning
    assert warning.endswith("learning_rate=0.01 may be far too high, try a tenth")
    assert warnings("defaults", learning_rate=0.01) == []
    assert warnings("small", opt_epsilon=1e-8, learning_rate=0.001) == []
