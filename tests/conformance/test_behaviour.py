"""Behaviour that every network has, whatever it computes."""

import numpy as np
import pytest
import tensorflow as tf

import slim
from nets import nets_factory
from slim import checkpoints
from tests.conformance import builds, checks, exemptions


def on_all(check):
    """Runs a test on every network."""
    names = checks.networks(check.__name__, "behaviour")
    # Module scope groups the tests by network, so that each network is built once.
    return pytest.mark.parametrize("name", names, scope="module")(check)


def inference_fn(name):
    return nets_factory.get_network_fn(name, builds.example(name).num_classes)


def function_logits(name):
    network = builds.shared_network(name)
    return network.function(network.images)[0].numpy()


def assert_close(name, logits, expected):
    assert np.abs(logits - expected).max() <= exemptions.logits_tolerance(name) * expected.std()


@on_all
def test_any_batch_size_is_accepted_and_images_are_independent(name):
    network = builds.shared_network(name)
    logits, _ = network.function(network.images)
    classes = builds.example(name).num_classes
    assert network.function.get_concrete_function().structured_outputs[0].shape == [None, classes]
    assert logits.shape == [2, classes]
    assert_close(name, network.function(network.images[1:])[0].numpy(), logits.numpy()[1:])


@on_all
def test_tf_function_equals_eager(name):
    network = builds.shared_network(name)
    assert_close(name, network.call(network.images)[0].numpy(), function_logits(name))


@on_all
@pytest.mark.parametrize(
    "is_training",
    [pytest.param(False, marks=pytest.mark.slow), True],
    ids=["inference", "training"],
)
def test_no_classes_returns_features(name, is_training):
    shape = (2, *builds.example(name).shape)
    headless, zero = (builds.graph_of(name, is_training, n, shape) for n in (None, 0))
    assert headless == zero
    heads = tuple(f"{head}/" for head in nets_factory.NETWORKS[name].heads)
    assert not [key for key in headless.variables if key.startswith(heads)]
    body = [row for row in builds.variables(name) if row[0] in headless.variables]
    ours = [[key, *row] for key, row in headless.variables.items()]
    assert [row for row in ours if row[0] not in headless.outside_model] == body
    assert body
    # Features of each image, of any rank.
    assert headless.logits_shape[0] == 2
    assert len(headless.logits_shape) >= 2
    assert "Predictions" not in headless.end_points


@on_all
def test_checkpoint_restores_into_a_new_store(name, tmp_path):
    network = builds.shared_network(name)
    prefix = checkpoints.save(tmp_path / "model.ckpt-1", network.store.named_variables)
    # Another seed, so that an unrestored variable shows.
    other = slim.VariableStore(seed=1)
    other.build(inference_fn(name), tf.TensorSpec([None, *network.images.shape[1:]], tf.float32))
    report = checkpoints.restore(prefix, other.named_variables)
    assert not report.missing
    assert not report.unused
    for key, variable in other.named_variables.items():
        np.testing.assert_array_equal(variable, network.store.named_variable(key), err_msg=key)


@on_all
def test_frozen_graph_computes_the_same_logits(name):
    network = builds.shared_network(name)
    values = {key: variable.numpy() for key, variable in network.store.named_variables.items()}
    store, graph = slim.FrozenStore(values), tf.Graph()
    with graph.as_default(), store.as_default():
        shape = [None, *network.images.shape[1:]]
        inputs = tf.raw_ops.Placeholder(dtype=tf.float32, shape=shape, name="input")
        output = inference_fn(name)(inputs)[0].name
    kinds = {node.op for node in graph.as_graph_def().node}
    assert not {kind for kind in kinds if kind.startswith("Var") or kind.endswith("VariableOp")}

    @tf.function(autograph=False)
    def call(images):
        graph_def = graph.as_graph_def()
        return tf.graph_util.import_graph_def(graph_def, {"input:0": images}, [output], name="")

    assert_close(name, call(network.images)[0].numpy(), function_logits(name))


@on_all
def test_second_pass_reuses_the_variables(name):
    network = builds.shared_network(name)
    before = dict(network.store.named_variables)
    network.call(network.images[:1])
    after = network.store.named_variables
    assert list(after) == list(before)
    assert all(after[key] is variable for key, variable in before.items())


@on_all
def test_second_call_in_a_pass_without_reuse_is_an_error(name):
    network, fn = builds.shared_network(name), inference_fn(name)
    with tf.Graph().as_default(), slim.VariableStore(seed=0).as_default():
        inputs = tf.raw_ops.Placeholder(dtype=tf.float32, shape=network.images.shape)
        fn(inputs)
        with pytest.raises(ValueError, match="was already requested in this pass"):
            fn(inputs)
