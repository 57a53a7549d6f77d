"""What every network can do, whatever it computes."""

import numpy as np
import pytest
import tensorflow as tf

import slim
from nets import nets_factory
from slim import checkpoints
from tests.conformance import builds, checks, exemptions, reference


def on_all(check):
    """Runs a test on every network."""
    names = checks.networks(check.__name__, "behaviour")
    # The module's scope brings the tests of a network together, so that it is built once.
    return pytest.mark.parametrize("name", names, scope="module")(check)


_last = {}


def built(name):
    """Returns the network with the recipe's weights; one at a time is kept, some are large."""
    if name not in _last:
        _last.clear()
        _last[name] = builds.network(name)
    return _last[name]


def function_logits(name):
    network = built(name)
    return network.function(network.images)[0].numpy()


def assert_close(name, ours, wanted):
    assert np.abs(ours - wanted).max() <= exemptions.logits_tolerance(name) * wanted.std()


@on_all
def test_any_number_of_images(name):
    network = built(name)
    logits, end_points = network.function(network.images)
    classes = reference.layout(name)["num_classes"]
    assert network.function.get_concrete_function().structured_outputs[0].shape == [None, classes]
    assert logits.shape == [2, classes]
    assert list(end_points) == list(reference.layout(name)["end_points"])
    # An image's logits do not depend on its neighbours.
    assert_close(name, network.function(network.images[1:])[0].numpy(), logits.numpy()[1:])


@on_all
def test_function_equals_eager(name):
    network = built(name)
    assert_close(name, network.call(network.images)[0].numpy(), function_logits(name))


@on_all
@pytest.mark.parametrize("is_training", [False, True], ids=["inference", "training"])
def test_no_classes_give_features(name, is_training):
    layout = reference.layout(name)
    shape = (2, *layout["input_shape"][1:])
    nothing, zero = (builds.graph_of(name, is_training, n, shape) for n in (None, 0))
    assert nothing == zero
    heads = tuple(f"{head}/" for head in nets_factory.NETWORKS[name].heads)
    assert not [key for key in nothing.variables if key.startswith(heads)]
    rest = [row for row in layout["variables"] if row[0] in nothing.variables]
    ours = [[key, *row] for key, row in nothing.variables.items()]
    assert [row for row in ours if row[0] not in nothing.outside_model] == rest
    assert rest
    # Features of each image, of whatever rank.
    assert nothing.logits_shape[0] == 2
    assert len(nothing.logits_shape) >= 2
    assert "Predictions" not in nothing.end_points


@on_all
def test_saved_and_restored_elsewhere(name, tmp_path):
    network = built(name)
    prefix = checkpoints.save(tmp_path / "model.ckpt-1", network.store.named_variables)
    # Another seed, so that an unrestored variable shows.
    other = slim.VariableStore(seed=1)
    fn = nets_factory.get_network_fn(name, reference.layout(name)["num_classes"])
    spec = tf.TensorSpec([None, *network.images.shape[1:]], tf.float32)
    other.build(fn, spec)
    report = checkpoints.restore(prefix, other.named_variables)
    assert not report.missing
    assert not report.unused
    for key, variable in other.named_variables.items():
        np.testing.assert_array_equal(variable, network.store.named_variable(key), err_msg=key)


@on_all
def test_exported_as_a_frozen_graph(name):
    network = built(name)
    values = {key: variable.numpy() for key, variable in network.store.named_variables.items()}
    store, graph = slim.FrozenStore(values), tf.Graph()
    fn = nets_factory.get_network_fn(name, reference.layout(name)["num_classes"])
    with graph.as_default(), store.as_default():
        shape = [None, *network.images.shape[1:]]
        inputs = tf.raw_ops.Placeholder(dtype=tf.float32, shape=shape, name="input")
        output = fn(inputs)[0].name
    kinds = {node.op for node in graph.as_graph_def().node}
    assert not {kind for kind in kinds if kind.startswith("Var") or kind.endswith("VariableOp")}

    @tf.function(autograph=False)
    def call(images):
        graph_def = graph.as_graph_def()
        return tf.graph_util.import_graph_def(graph_def, {"input:0": images}, [output], name="")

    assert_close(name, call(network.images)[0].numpy(), function_logits(name))


@on_all
def test_second_pass_reuses_the_variables(name):
    network = built(name)
    before = dict(network.store.named_variables)
    network.call(network.images[:1])
    after = network.store.named_variables
    assert list(after) == list(before)
    assert all(after[key] is variable for key, variable in before.items())


@on_all
def test_forgotten_reuse_is_refused(name):
    network = built(name)
    fn = nets_factory.get_network_fn(name, reference.layout(name)["num_classes"])
    with tf.Graph().as_default(), slim.VariableStore(seed=0).as_default():
        inputs = tf.raw_ops.Placeholder(dtype=tf.float32, shape=network.images.shape)
        fn(inputs)
        with pytest.raises(ValueError, match="was already requested in this pass"):
            fn(inputs)
