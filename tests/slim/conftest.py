"""Two logical CPU devices and an empty default store for the tests of the library."""

import contextlib

import pytest
import tensorflow as tf

import slim

# Fails if a test module ran an operation at import; `mirrored` then reports it.
with contextlib.suppress(RuntimeError):
    tf.config.set_logical_device_configuration(
        tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
    )


@pytest.fixture(autouse=True)
def _empty_default_store():
    slim.reset_default_store()


@pytest.fixture
def mirrored():
    """Returns a MirroredStrategy over two logical CPU devices."""
    devices = [device.name for device in tf.config.list_logical_devices("CPU")]
    assert len(devices) == 2, f"{devices}: some module runs TensorFlow when it is imported"
    # The default between CPUs, collective operations, keeps state per process: a second strategy
    # on the same devices would use the shapes of the first one.
    return tf.distribute.MirroredStrategy(
        ["CPU:0", "CPU:1"], cross_device_ops=tf.distribute.ReductionToOneDevice()
    )
