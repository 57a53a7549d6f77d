"""Graphs of inputs, name scopes, and devices of variables."""

import pytest
import tensorflow as tf

import slim
from slim.graph.framework import get_graph_from_inputs, get_name_scope


def test_the_graph_of_inputs():
    one, other = tf.Graph(), tf.Graph()
    with one.as_default():
        assert get_graph_from_inputs([]) is one
        a = tf.constant(1.0)
    with other.as_default():
        b = tf.constant(1.0)
        assert get_graph_from_inputs([2.0, a]) is get_graph_from_inputs([a], one) is one
    with pytest.raises(ValueError, match="is not from the passed-in graph"):
        get_graph_from_inputs([a], other)
    with pytest.raises(ValueError, match="must be from the same graph"):
        get_graph_from_inputs([a, b])


@pytest.mark.parametrize("context", [tf.Graph().as_default, tf.init_scope])
def test_the_name_scope(context):
    with context():
        assert get_name_scope() == ""
        with tf.name_scope("a"), tf.name_scope("b"):
            assert get_name_scope() == "a/b"


def test_devices_are_chosen_in_turn():
    chooser = slim.VariableDeviceChooser(num_tasks=2, replica=3)
    devices = [chooser(None) for _ in range(3)]
    assert devices == [f"/job:ps/replica:3/task:{task}/device:CPU:0" for task in (0, 1, 0)]
    assert slim.VariableDeviceChooser(device_type="GPU")(None) == "/device:GPU:0"
