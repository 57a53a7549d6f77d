"""Summaries of activations and collections, in a graph and elsewhere."""

import numpy as np
import pytest
import tensorflow as tf

import slim
from tests.slim.test_summaries import ops, written

v1 = tf.compat.v1
INPUTS = np.array([-2.0, -1.0, 0.0, 1.0, 8.0], np.float32)
KEYS = v1.GraphKeys


@pytest.mark.parametrize(
    "activation, fractions",
    [
        (tf.nn.relu, {"zeros": 0.4}),
        (tf.nn.softplus, {"zeros": 0.4}),
        (tf.nn.relu6, {"zeros": 0.4, "sixes": 0.2}),
        (tf.nn.tanh, {}),
    ],
)
def test_activations_of_a_graph(activation, fractions):
    with tf.Graph().as_default():
        op = slim.summarize_activation(activation(tf.constant(INPUTS), name="net/act"))
        values = ops()
        assert (op.op.type, op.op.name) == ("HistogramSummary", "net/act/activation")
    assert values.pop("net/act/activation").histo.num == 5
    assert {tag: value.simple_value for tag, value in values.items()} == {
        f"net/act/{name}": pytest.approx(fraction) for name, fraction in fractions.items()
    }


def test_tensors_of_a_graph():
    with tf.Graph().as_default():
        scalar, vector = tf.constant(1, name="scalar"), tf.constant(INPUTS, name="vector")
        results = slim.summarize_tensors([scalar, vector, tf.constant("text"), tf.constant(True)])
        slim.summarize_tensor(v1.placeholder_with_default(INPUTS, None, name="any"), "tag")
        values = ops()
    assert results[2:] == [None, None]
    assert values["scalar_summary"].simple_value == 1.0
    assert values["vector_summary"].histo.num == values["tag"].histo.num == 5


def test_collections_of_a_graph():
    functions = {
        KEYS.WEIGHTS: slim.summarize_weights,
        KEYS.BIASES: slim.summarize_biases,
        KEYS.ACTIVATIONS: slim.summarize_activations,
    }
    with tf.Graph().as_default():
        for collection in functions:
            for name in ("a", "b"):
                tensor = tf.constant(INPUTS, name=f"{name}/{collection}")
                v1.add_to_collection(collection, tensor)
        v1.Variable(1.0, name="a/variable")
        names = [
            op.op.name
            for function in (*functions.values(), slim.summarize_variables)
            for op in function("a/")
        ]
    assert names == [
        "a/weights_summary",
        "a/biases_summary",
        "a/activations/activation",
        "a/variable_summary",
    ]


@pytest.mark.parametrize(
    "decorate", [lambda fn: fn, pytest.param(tf.function, marks=pytest.mark.slow)]
)
def test_collections_of_a_store(decorate, tmp_path):
    store = slim.VariableStore(seed=0)

    @decorate
    def write():
        with store.as_default(step=tf.constant(5, tf.int64)):
            slim.fully_connected(
                tf.constant(INPUTS[None]),
                2,
                scope="fc",
                variables_collections={"weights": [KEYS.WEIGHTS]},
                outputs_collections=[KEYS.ACTIVATIONS],
            )
            slim.summarize_weights()
            slim.summarize_biases()
            slim.summarize_variables("fc/b")
            slim.summarize_collection(KEYS.MODEL_VARIABLES, ".*weights", slim.summarize_tensor)
            slim.summarize_activations()

    with tf.summary.create_file_writer(str(tmp_path)).as_default():
        write()
    tags = [event[1] for event in written(tmp_path)]
    assert tags[:3] == ["fc/weights_summary", "fc/biases_summary", "fc/weights_summary"]
    # A traced tensor knows its activation.
    traced = ["fc/zeros", "fc/activation"]
    assert tags[3:] == (traced if decorate is tf.function else ["fc/activation"])


def test_an_eager_tensor_needs_a_name():
    for summarize in (slim.summarize_tensor, slim.summarize_activation):
        with pytest.raises(ValueError, match="computed eagerly has no name; pass name="):
            summarize(tf.constant(1.0))
