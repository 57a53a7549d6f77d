"""VGG, AlexNet and OverFeat: fully connected layers as convolutions."""

import numpy as np
import pytest
import tensorflow as tf

import slim
from nets import alexnet, overfeat, vgg
from nets._fc_head import fc_features, fc_logits
from slim.store import ShapeStore

NETWORKS = {
    "vgg_a": (vgg.vgg_a, vgg.vgg_arg_scope),
    "vgg_16": (vgg.vgg_16, vgg.vgg_arg_scope),
    "vgg_19": (vgg.vgg_19, vgg.vgg_arg_scope),
    "alexnet_v2": (alexnet.alexnet_v2, alexnet.alexnet_v2_arg_scope),
    "overfeat": (overfeat.overfeat, overfeat.overfeat_arg_scope),
}
SMALLEST = ("vgg_a", "alexnet_v2", "overfeat")  # the other two differ from vgg_a in depth only


def in_graph(name, shape, *args, **kwargs):
    """Builds a network in a plain graph."""
    network, arg_scope = NETWORKS[name]
    store = ShapeStore(seed=0)
    with tf.Graph().as_default(), store.as_default(), slim.arg_scope(arg_scope()):
        images = tf.raw_ops.Placeholder(dtype=tf.float32, shape=shape)
        outputs, end_points = network(images, *args, **{"is_training": False, **kwargs})
    return outputs, end_points, store


@pytest.mark.parametrize("name, layers", [("vgg_a", 11), ("vgg_16", 16), ("vgg_19", 19)])
def test_vgg_has_the_layers_of_table_1(name, layers):
    *_, store = in_graph(name, [1, 224, 224, 3])
    assert len([each for each in store.records if each.endswith("weights")]) == layers


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("num_classes", [0, None])
def test_no_classes_returns_features(name, num_classes):
    size = NETWORKS[name][0].default_image_size
    features, end_points, store = in_graph(name, [None, size, size, 3], num_classes)
    assert features.shape.as_list() == [None, 1, 1, 4096]
    assert list(end_points)[-1] == f"{name}/fc7"
    assert not [each for each in store.records if "fc8" in each]


@pytest.mark.parametrize("name", SMALLEST)
def test_larger_images_result_in_a_map_of_logits_or_one_pooled_vector(name):
    size = NETWORKS[name][0].default_image_size + 64
    shape = [2, size, size + 32, 3]
    logits, end_points, _ = in_graph(name, shape, 9, spatial_squeeze=False)
    assert logits.shape.rank == 4
    assert min(logits.shape[1:3]) > 1
    assert end_points[f"{name}/fc8"] is logits
    with pytest.raises(ValueError, match="logits each, which spatial_squeeze=True"):
        in_graph(name, shape, 9)
    logits, end_points, _ = in_graph(name, shape, 9, global_pool=True)
    assert logits.shape == [2, 9]
    assert end_points["global_pool"].shape == [2, 1, 1, 4096]
    logits, _, _ = in_graph(name, [None, None, None, 3], 9)
    assert logits.shape.as_list() == [None, 9]


@pytest.mark.parametrize("padding, positions", [("VALID", [3, 2]), ("SAME", [9, 8])])
def test_padding_of_vggs_fc6_determines_the_map_size(padding, positions):
    logits, _, _ = in_graph(
        "vgg_a", [1, 288, 256, 3], 9, fc_conv_padding=padding, spatial_squeeze=False
    )
    assert logits.shape[1:3] == positions


@pytest.mark.parametrize(
    "name, size, side", [("vgg_16", 192, 6), ("alexnet_v2", 191, 4), ("overfeat", 200, 5)]
)
def test_too_small_images_are_an_error(name, size, side):
    with pytest.raises(ValueError, match=f"too small: the input of fc6 is {side} x {side}, but"):
        in_graph(name, [1, size, size, 3])


@pytest.mark.parametrize("name", SMALLEST)
def test_second_call_with_reuse_shares_the_variables(name):
    network, arg_scope = NETWORKS[name]
    store = ShapeStore(seed=0)
    with tf.Graph().as_default(), store.as_default(), slim.arg_scope(arg_scope()):
        images = tf.raw_ops.Placeholder(dtype=tf.float32, shape=[1, 256, 256, 3])
        _, first = network(images, 9, global_pool=True)
        variables = list(store.records)
        _, second = network(images, 9, global_pool=True, reuse=True)
        with pytest.raises(ValueError, match="reuse"):
            network(images, 9, global_pool=True)
    assert list(store.records) == variables
    assert list(first) == list(second)
    assert not any(first[each] is second[each] for each in first)


@pytest.mark.parametrize("name", ["alexnet_v2", "overfeat"])
def test_initial_values_of_the_fully_connected_layers(name):
    _, arg_scope = NETWORKS[name]
    store, maps = slim.VariableStore(seed=0), tf.zeros([1, 5, 5, 8])
    module = {"alexnet_v2": alexnet, "overfeat": overfeat}[name]
    with store.as_default(), slim.arg_scope(arg_scope()), module.small_initial_weights():
        with slim.variable_scope("net") as scope:
            net = fc_features(maps, (30, 40), 5, "VALID", 0.5, False)
            fc_logits(net, {}, scope, 20, 0.5, False, True, False)
    values = {each: store.named_variables[f"net/{each}"].numpy() for each in
              ("fc6/weights", "fc6/biases", "fc7/biases", "fc8/weights", "fc8/biases")}  # fmt: skip
    for each in ("fc6/weights", "fc8/weights"):
        assert values[each].std() == pytest.approx(0.0044, rel=0.1)  # 0.005, truncated
    np.testing.assert_allclose(values["fc6/biases"], 0.1)
    np.testing.assert_allclose(values["fc7/biases"], 0.1)
    np.testing.assert_array_equal(values["fc8/biases"], 0)


def test_dropout_precedes_fc7_and_fc8():
    store, ones = slim.VariableStore(seed=0), tf.ones([4, 1, 1, 8])

    def outputs(is_training, keep_prob):
        with store.as_default(seed=tf.constant([1, 2])), slim.variable_scope("net") as scope:
            fc7 = fc_features(ones, (64, 64), 1, "VALID", keep_prob, is_training)
            fc8 = fc_logits(ones, {}, scope, 5, keep_prob, is_training, True, False)
        return fc7, fc8

    plain, all_kept, half_kept = outputs(False, 0.5), outputs(True, 1.0), outputs(True, 0.5)
    for layer in (0, 1):
        np.testing.assert_allclose(plain[layer], all_kept[layer], rtol=1e-6)
        assert np.abs(plain[layer] - half_kept[layer]).max() > 1e-3


def test_global_pool_is_the_mean_over_the_image():
    maps = tf.random.stateless_normal([2, 3, 4, 5], [0, 1])
    end_points = {}
    with slim.VariableStore(seed=0).as_default(), slim.variable_scope("net") as scope:
        features = fc_logits(maps, end_points, scope, None, 0.5, False, True, True)
    np.testing.assert_allclose(features[:, 0, 0], maps.numpy().mean((1, 2)), rtol=1e-5, atol=1e-6)
    assert end_points["global_pool"] is features
