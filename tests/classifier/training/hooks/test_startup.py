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


def test_options_that_have_nothing_to_act_on(train, tmp_path):
    flags = {"optimizer": "adam", "momentum": 0.8, "decay_steps": 5, "decay_per_clone": True}
    flags["freeze_batch_norm"] = True
    done = train(tmp_path, max_number_of_steps=1, **flags)
    assert done.code == 0, done.err
    (threads,) = [line for line in done.out if line.startswith("preprocessing threads: auto")]
    assert threads.endswith("(TF-Slim: 4)")
    idle, schedule, norm = [line for line in done.out if line.startswith("warning: ")]
    assert idle.startswith("warning: --momentum=0.8 has no effect with --optimizer=adam; adam has ")
    assert schedule.startswith("warning: --decay_per_clone has no effect: no duration of the")
    assert norm == "warning: --freeze_batch_norm has no effect: lenet has no batch norm"


def test_a_resumed_run_logs_which_options_it_ignores(train, existing_run, tmp_path):
    gone = tmp_path / "resnet_v2_50.ckpt"
    done = train(
        existing_run, max_number_of_steps=3, checkpoint_path=gone, num_preprocessing_threads=2
    )
    assert not any(line.startswith("preprocessing threads: auto") for line in done.out)
    (origin,) = [line for line in done.out if line.startswith("Resuming ")]
    assert re.search(r"model\.ckpt-2, saved 0:\d\d:\d\d ago\); --checkpoint_path=", origin)
    assert origin.endswith(f"={gone} is ignored by a resumed run (to start over, pass --restart)")
    assert not any("resnet_v2_50_2017_04_14 was trained with" in line for line in done.out)


@pytest.mark.slow
def test_rmsprop_with_a_small_epsilon_and_a_large_learning_rate_is_a_warning(train, tmp_path):
    def warnings(name, **more):
        result = train(tmp_path / name, max_number_of_steps=1, optimizer="rmsprop", **more)
        return [line for line in result.out if "too high for rmsprop" in line]

    (warning,) = warnings("both", opt_epsilon=1e-8, learning_rate=0.01)
    assert warning.startswith("warning: --learning_rate=0.01 may be far too high for rmsprop with")
    assert "with --opt_epsilon=1e-08, which normalizes each gradient" in warning
    assert warnings("original", learning_rate=0.01) == []
    assert warnings("small", opt_epsilon=1e-8, learning_rate=0.001) == []
