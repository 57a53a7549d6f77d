"""What the first lines of a run say of its devices."""

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
