"""Batch norm as a part of convolutions: fewer ops, same names, same answers."""

import collections

import numpy as np
import pytest
import tensorflow as tf

import slim
from classifier import network
from classifier.export import folding
from classifier.inference import runtimes
from nets import nets_factory
from tests.conformance import builds, reference

NETWORKS = [
    "inception_v3",
    "mobilenet_v2_035",
    "mobilenet_v3_small",
    "nasnet_cifar",
    "resnet_v1_50",
    "resnet_v2_50",
    "s3dg",
]
# Batch norms that follow no convolution: in NASNet a concatenation, in ResNet v2 the sum of a unit.
LEFT = {"nasnet_cifar": 2, "resnet_v2_50": 17}
IMAGES = np.random.default_rng(1).normal(size=[2, 6, 5, 3]).astype(np.float32)


def graph_of(build, shape, values):
    """Returns the frozen GraphDef of a function, and the nodes of what it returns."""
    with tf.Graph().as_default() as graph, slim.FrozenStore(values).as_default():
        inputs = tf.raw_ops.Placeholder(dtype=tf.float32, shape=[None, *shape], name="input")
        outputs = build(inputs)
    return graph.as_graph_def(), [each.op.name for each in outputs]


def network_graph(name, network):
    values = {key: value.numpy() for key, value in network.store.named_variables.items()}
    fn = nets_factory.get_network_fn(name, reference.layout(name)["num_classes"])

    def build(images):
        logits, end_points = fn(images)
        return [logits, *end_points.values()]

    return graph_of(build, network.images.shape[1:], values)


def ops(graph_def):
    """Returns how often each op is there; batch norm of any rank is `FusedBatchNormV3`."""
    plain = [node for node in graph_def.node if node.name.endswith("/batchnorm/add_1")]
    kinds = collections.Counter(node.op for node in graph_def.node)
    kinds["FusedBatchNormV3"] += sum(node.op == "AddV2" for node in plain)
    return kinds


def answers(graph_def, names, images):
    return [
        runtimes.graph_function(graph_def, "input:0", f"{name}:0")(tf.constant(images))
        for name in names
    ]


@pytest.mark.parametrize(
    "name",
    ["mobilenet_v1_025", *(pytest.param(name, marks=pytest.mark.slow) for name in NETWORKS)],
)
def test_networks_fold_batch_norm_after_convolutions(name):
    network = builds.shared_network(name)
    plain, outputs = network_graph(name, network)
    plain = folding.pruned(plain, outputs)
    smaller = folding.folded(plain, outputs)
    assert ops(plain)["FusedBatchNormV3"] > 20
    assert ops(smaller)["FusedBatchNormV3"] == LEFT.get(name, 0)
    assert len(smaller.node) < len(plain.node)
    assert set(outputs) <= {node.name for node in smaller.node}
    (actual,) = answers(smaller, outputs[:1], network.images)
    expected = network.function(network.images)[0].numpy()
    assert np.abs(actual - expected).max() <= 1e-5 * np.abs(expected).max()
    # A session ignores unknown attributes of a node; a function does not.
    imported = tf.compat.v1.wrap_function(
        lambda: tf.graph_util.import_graph_def(smaller, name=""), []
    )
    for node in smaller.node:
        known = imported.graph.get_operation_by_name(node.name).op_def.attr
        assert set(node.attr) <= {each.name for each in known}, node.name
    call = imported.prune("input:0", f"{outputs[0]}:0")
    np.testing.assert_allclose(call(tf.constant(network.images)), actual, rtol=1e-5, atol=1e-6)


def test_quantized_networks_fold_too():
    float_network = builds.shared_network("mobilenet_v1_025")
    store, images = float_network.store, float_network.images
    values = {key: value.numpy() for key, value in store.named_variables.items()}
    fn = network.inference_network("mobilenet_v1_025", 1001, quantized=True)
    fresh = slim.VariableStore(seed=0)
    fresh.build(fn, tf.TensorSpec(images.shape, tf.float32))
    ranges = {key: value.numpy() for key, value in fresh.named_variables.items()}
    plain, outputs = graph_of(lambda x: [fn(x)[0]], images.shape[1:], ranges | values)
    smaller = folding.folded(folding.pruned(plain, outputs), outputs)
    assert ops(smaller)["FusedBatchNormV3"] == 0
    assert ops(smaller)["FakeQuantWithMinMaxVars"] == ops(plain)["FakeQuantWithMinMaxVars"] == 28
    actual, expected = (answers(each, outputs, images)[0] for each in (smaller, plain))
    assert len(np.unique(expected)) > 10
    step = 12 / 255  # between two of the values of the logits
    assert np.abs(actual - expected).max() < 2.5 * step
    assert np.mean(np.abs(actual - expected) < 1e-4) > 0.5


def test_graph_without_batch_norm_is_unchanged():
    network = builds.shared_network("lenet")
    plain, outputs = network_graph("lenet", network)
    plain = folding.pruned(plain, outputs)
    assert folding.folded(plain, outputs) == plain


def folded_by_hand(build):
    """Folds a function of `IMAGES`, checks its answers and returns the ops before and after."""
    store, random = slim.VariableStore(seed=3), np.random.default_rng(2)
    store.build(build, tf.TensorSpec(IMAGES.shape, tf.float32))
    values = {
        key: random.uniform(0.5, 2, variable.shape).astype(np.float32)
        for key, variable in store.named_variables.items()
    }
    plain, outputs = graph_of(build, IMAGES.shape[1:], values)
    smaller = folding.folded(plain, outputs)
    for ours, expected in zip(
        answers(smaller, outputs, IMAGES), answers(plain, outputs, IMAGES), strict=True
    ):
        np.testing.assert_allclose(ours, expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())
    return ops(plain), ops(smaller)


def normalized(layer, *arguments, scale=True, **more):
    norm = {"is_training": False, "scale": scale}
    more |= {"normalizer_fn": slim.batch_norm, "normalizer_params": norm}
    return lambda images: [layer(images, *arguments, **more)]


def of_videos(build):
    return lambda images: build(tf.stack([images, images * 2, images + 1], axis=1))


def of_rows(build):
    return lambda images: build(tf.reshape(images, [-1, 90]))


@pytest.mark.parametrize(
    "build",
    [
        normalized(slim.conv2d, 4, 3),
        normalized(slim.conv2d, 4, 3, data_format="NHWC", stride=2, activation_fn=None),
        normalized(slim.conv2d, 1100, 1, scale=False),
        normalized(slim.separable_conv2d, None, 3, depth_multiplier=2),
        normalized(slim.separable_conv2d, 4, 3, depth_multiplier=1),
        normalized(slim.conv2d_transpose, 4, 3, stride=2),
        of_videos(normalized(slim.conv3d, 4, 3)),
        of_videos(normalized(slim.conv3d, 4, 3, scale=False, activation_fn=None)),
        of_videos(normalized(slim.conv3d_transpose, 4, 3, stride=2)),
        of_rows(normalized(slim.fully_connected, 4)),
        of_rows(normalized(slim.fully_connected, 7, activation_fn=None, scale=False)),
    ],
)
def test_layers_fold(build):
    before, after = folded_by_hand(build)
    assert before["FusedBatchNormV3"] >= 1
    assert after["FusedBatchNormV3"] == 0
    assert after.total() < before.total()


@pytest.mark.parametrize("fused", [True, False])
def test_biases_before_batch_norm_are_folded(fused):
    def build(images):
        convolved = slim.conv2d(images, 4, 3, activation_fn=None)
        return [slim.batch_norm(convolved, scale=True, is_training=False, fused=fused)]

    before, after = folded_by_hand(build)
    assert (before["BiasAdd"], before["FusedBatchNormV3"]) == (1, 1)
    assert (after["BiasAdd"], after["FusedBatchNormV3"]) == (1, 0)


def test_batch_norm_after_biases_of_a_fully_connected_layer_is_not_folded():
    def build(images):
        rows = slim.fully_connected(tf.reshape(images, [-1, 90]), 4, activation_fn=None)
        return [slim.batch_norm(rows, scale=True, is_training=False)]

    assert folded_by_hand(build)[1]["FusedBatchNormV3"] == 1


@pytest.mark.parametrize("case", ["a number", "a vector", "a product"])
def test_other_products_and_sums(case):
    """Other products and sums are folded only if they have the form of batch norm."""
    vector = np.arange(1, 5, dtype=np.float32)

    def build(images):
        convolved = slim.conv2d(images, 4, 3, activation_fn=None, biases_initializer=None)
        scaled = convolved * (3.0 if case == "a number" else vector)
        return [scaled + vector, scaled] if case == "a product" else [scaled + vector]

    _, after = folded_by_hand(build)
    assert (after["Mul"], after["BiasAdd"]) == ((0, 1) if case == "a vector" else (1, 0))


def test_convolution_with_other_consumers_is_not_folded():
    def build(images):
        convolved = slim.conv2d(images, 4, 3, activation_fn=None, biases_initializer=None)
        return [slim.batch_norm(convolved, is_training=False) + convolved]

    assert folded_by_hand(build)[1]["FusedBatchNormV3"] == 1


def test_convolution_that_is_an_output_is_not_folded():
    def build(images):
        convolved = slim.conv2d(images, 4, 3, activation_fn=None, biases_initializer=None)
        return [slim.batch_norm(convolved, is_training=False), convolved]

    assert folded_by_hand(build)[1]["FusedBatchNormV3"] == 1


@pytest.mark.parametrize(
    "build",
    [
        lambda images: [slim.batch_norm(tf.nn.relu(images), is_training=False)],
        lambda images: [slim.batch_norm(images, is_training=False, scale=True)],
        lambda images: [slim.conv2d(slim.batch_norm(images, is_training=False), 4, 3)],
    ],
)
def test_batch_norm_without_preceding_convolution_is_not_folded(build):
    assert folded_by_hand(build)[1]["FusedBatchNormV3"] == 1
