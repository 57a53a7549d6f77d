"""What the first lines of a run say."""

import pytest
import tensorflow as tf

from classifier.hooks import opening


@pytest.mark.parametrize(
    "gpus, devices, words",
    [
        ([], ["/device:CPU:0"], f"CPU:0 (TensorFlow {tf.__version__} sees no GPU)"),
        # As with --clone_on_cpu.
        (["gpu"], ["/device:CPU:0", "/device:CPU:1"], "CPU:0, CPU:1"),
        (["gpu"], ["/device:GPU:0"], "GPU:0"),
    ],
)
def test_devices_in_words(monkeypatch, gpus, devices, words):
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: gpus)
    assert opening.in_words(devices) == words


def test_options_that_have_nothing_to_act_on(train, tmp_path):
    given = {"optimizer": "adam", "momentum": 0.8, "decay_steps": 5, "decay_per_clone": True}
    told = train(tmp_path, max_number_of_steps=1, **given)
    assert told.code == 0, told.err
    idle, schedule = [line for line in told.out if line.startswith("warning: ")]
    assert idle.startswith("warning: momentum=0.8 has nothing to act on: optimizer=adam; adam has ")
    assert schedule.startswith("warning: decay_per_clone has nothing to act on: no duration of the")
