"""Sizes of operations and variables, against numbers counted by hand."""

import pytest
import tensorflow as tf

import slim
from slim import model_analyzer


def layer():
    return slim.fully_connected(tf.ones([2, 3], tf.float32), 4, activation_fn=None, scope="fc")


def test_variables_of_a_store(capsys):
    with slim.VariableStore().as_default():
        layer()
        variables = slim.get_model_variables()
        assert model_analyzer.analyze_vars(variables) == (16, 64)
        assert not capsys.readouterr().out
        model_analyzer.analyze_vars(variables, print_info=True)
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].endswith("(float32 3x4) [12, bytes: 48]")
    assert lines[-2:] == ["Total size of variables: 16", "Total bytes of variables: 64"]


def test_variables_of_a_graph():
    with tf.Graph().as_default():
        variables = [
            tf.compat.v1.get_variable("half", [3], tf.float16),
            tf.compat.v1.get_variable("any", initializer=[1, 2], validate_shape=False),
        ]
        assert model_analyzer.analyze_vars(variables) == (5, 14)


def test_operations_of_a_graph(capsys):
    with tf.Graph().as_default() as graph:
        images = tf.compat.v1.placeholder(tf.float32, [None, 4], name="images")
        tf.identity(tf.ones([2, 3], name="ones"), name="same")
        tf.unstack(tf.zeros([2, 5], name="zeros"), name="rows")
        tf.compat.v1.placeholder(tf.float32, None, name="any")
        assert model_analyzer.analyze_ops(graph, print_info=True) == 6 + 6 + 10 + 10
    lines = capsys.readouterr().out.splitlines()[1:]
    assert lines[0] == "images \t-> (float32 Nonex4) [0]"
    assert lines[-2:] == ["rows \t-> (float32 5), (float32 5) [10]", "any \t->  [0]"]
    assert model_analyzer.tensor_description(images) == "(float32 Nonex4)"


def test_operations_of_a_function():
    concrete = tf.function(lambda x: x + 1.0).get_concrete_function(tf.ones([2, 3]))
    assert model_analyzer.analyze_ops(concrete.graph) >= 12
    with pytest.raises(ValueError, match="expects a tf.Graph, not EagerTensor. For code that runs"):
        model_analyzer.analyze_ops(tf.ones([2]))
