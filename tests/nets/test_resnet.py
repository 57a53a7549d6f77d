import numpy as np
import pytest
import tensorflow as tf

import slim
from nets import resnet_utils, resnet_v1, resnet_v2
from slim.store import ShapeStore

NETWORKS = {
    "v1": (resnet_v1.resnet_v1, resnet_v1.resnet_v1_block),
    "v2": (resnet_v2.resnet_v2, resnet_v2.resnet_v2_block),
}


def images(*shape):
    return np.random.RandomState(3).uniform(-1, 1, shape).astype(np.float32)


def run(store, network, inputs, **kwargs):
    with store.as_default(), slim.arg_scope(resnet_utils.resnet_arg_scope()):
        return network(inputs, **kwargs)


def small(version, **kwargs):
    """Returns a function of images: a ResNet with few units and channels, and the usual strides."""
    network, block = NETWORKS[version]
    blocks = [
        block("block1", base_depth=2, num_units=2, stride=2),
        block("block2", base_depth=3, num_units=2, stride=2),
        block("block3", base_depth=4, num_units=2, stride=2),
        block("block4", base_depth=5, num_units=1, stride=1),
    ]
    return lambda inputs, **more: network(
        inputs, blocks, **{"is_training": False, "scope": "small", **kwargs, **more}
    )


def built(fn, *shape):
    """Returns the symbolic outputs and end points, and the store."""
    store, results = ShapeStore(seed=0), []
    with slim.arg_scope(resnet_utils.resnet_arg_scope()):
        store.build(lambda x: results.append(fn(x)), tf.TensorSpec(shape))
    return *results[0], store


@pytest.mark.parametrize("layers, units", resnet_utils.UNITS.items())
def test_units_add_up_to_the_number_of_layers(layers, units):
    assert 3 * sum(units) + 2 == layers


@pytest.mark.parametrize("size", [8, 9])
@pytest.mark.parametrize("kernel_size, stride", [(3, 2), (3, 3), (7, 2), (4, 2)])
def test_conv2d_same_equals_the_subsampled_dense_convolution(size, kernel_size, stride):
    inputs, store = images(2, size, size + 1, 3), slim.VariableStore(seed=0)
    with store.as_default():
        strided = resnet_utils.conv2d_same(inputs, 4, kernel_size, stride, scope="conv")
    with store.as_default():
        dense = slim.conv2d(inputs, 4, kernel_size, padding="SAME", scope="conv")
    np.testing.assert_allclose(strided, dense[:, ::stride, ::stride], atol=1e-6)


def test_subsample_keeps_every_nth_row_and_column():
    inputs = images(1, 5, 8, 2)
    np.testing.assert_array_equal(resnet_utils.subsample(inputs, 3), inputs[:, ::3, ::3])
    assert resnet_utils.subsample(inputs, 1) is inputs


@pytest.mark.parametrize("version", NETWORKS)
@pytest.mark.parametrize("root", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_output_stride_computes_the_same_features_more_densely(version, root):
    inputs, store = images(1, 33, 40, 3), slim.VariableStore(seed=0)
    network = small(version, global_pool=False, include_root_block=root)
    nominal, _ = run(store, network, inputs)
    factor = 4 if root else 1
    full = 8 * factor
    for stride in [factor * s for s in (1, 2, 4, 8)]:
        dense, _ = run(store, network, inputs, output_stride=stride)
        assert dense.shape[1:3] == [-(-33 // stride), -(-40 // stride)]
        step = full // stride
        np.testing.assert_allclose(dense[:, ::step, ::step], nominal, atol=2e-5)


@pytest.mark.parametrize("version", NETWORKS)
@pytest.mark.parametrize("output_stride", [None, 16])
def test_non_strided_activations_are_stored_on_request(version, output_stride):
    inputs, store = images(1, 64, 64, 3), slim.VariableStore(seed=0)
    network = small(version, output_stride=output_stride)
    strided, end_points = run(store, network, inputs)
    same, wide = run(store, network, inputs, store_non_strided_activations=True)
    np.testing.assert_allclose(strided, same, atol=1e-5)
    names = [f"small/block{number}" for number in (1, 2, 3, 4)]
    sizes = {name: (end_points[name].shape[1], wide[name].shape[1]) for name in names}
    last = (4, 4) if output_stride else (2, 4)
    assert sizes == {
        "small/block1": (8, 16),
        "small/block2": (4, 8),
        "small/block3": last,
        "small/block4": (last[0], last[0]),
    }
    np.testing.assert_allclose(
        wide["small/block1"][:, ::2, ::2], end_points["small/block1"], atol=1e-5
    )


@pytest.mark.parametrize("version", NETWORKS)
def test_unreachable_output_stride_is_an_error(version):
    for root, message in ((True, "Known: 4, 8, 16, 32"), (False, "Known: 1, 2, 4, 8")):
        with pytest.raises(ValueError, match=f"output_stride=6 is not known. {message}"):
            built(small(version, output_stride=6, include_root_block=root), 1, 64, 64, 3)
    with pytest.raises(ValueError, match="output_stride=2 is not known. Known: 4, 8"):
        built(small(version, output_stride=2), 1, 64, 64, 3)


def test_reachable_strides_include_those_of_three():
    _, block = NETWORKS["v1"]
    blocks = [block("a", 2, 2, 2), block("b", 2, 1, 3)]
    assert resnet_utils.reachable_strides(blocks) == [1, 2, 6]


@pytest.mark.parametrize("version", NETWORKS)
def test_larger_images_result_in_a_map_of_logits(version):
    network = small(version, num_classes=7, global_pool=False)
    logits, end_points, _ = built(
        lambda x: network(x, output_stride=8, spatial_squeeze=False), 2, 41, 65, 3
    )
    assert logits.shape == [2, 6, 9, 7]
    assert end_points["predictions"].shape == logits.shape
    assert "small/spatial_squeeze" not in end_points
    with pytest.raises(ValueError, match="2 x 3 logits each, which spatial_squeeze=True"):
        built(network, 2, 41, 65, 3)


@pytest.mark.parametrize("version", NETWORKS)
@pytest.mark.parametrize("num_classes", [pytest.param(0, marks=pytest.mark.slow), None])
def test_no_classes_returns_features(version, num_classes):
    network = small(version, num_classes=num_classes)
    features, end_points, store = built(network, None, None, None, 3)
    assert features.shape.as_list() == [None, 1, 1, 20]
    assert end_points["global_pool"] is features
    assert not [name for name in store.records if "logits" in name]
    features, end_points, _ = built(lambda x: network(x, global_pool=False), 1, 64, 64, 3)
    assert features.shape == [1, 2, 2, 20]
    assert "global_pool" not in end_points


@pytest.mark.parametrize("version", NETWORKS)
def test_second_call_with_reuse_shares_variables_but_not_end_points(version):
    network, store = small(version, num_classes=3), slim.VariableStore(seed=0)
    with store.as_default(), slim.arg_scope(resnet_utils.resnet_arg_scope()):
        one, first = network(images(1, 32, 32, 3))
        variables = list(store.records)
        with pytest.raises(ValueError, match="reuse"):
            network(images(1, 32, 32, 3))
        two, second = network(images(1, 32, 32, 3), reuse=True)
    assert list(store.records) == variables
    np.testing.assert_array_equal(one, two)
    assert list(first) == list(second)
    assert not any(first[name] is second[name] for name in first)


def test_is_training_none_leaves_batch_norm_to_an_outer_scope():
    network = small("v1", is_training=None)
    store = slim.VariableStore(seed=0)
    with slim.arg_scope([slim.conv2d], normalizer_fn=slim.batch_norm):
        store.build(network, tf.TensorSpec([2, 32, 32, 3]))
    mean = store.named_variables["small/conv1/BatchNorm/moving_mean"]
    for training in (False, True):
        with (
            slim.arg_scope([slim.conv2d], normalizer_fn=slim.batch_norm),
            slim.arg_scope([slim.batch_norm], is_training=training),
            store.as_default(),
        ):
            network(images(2, 32, 32, 3))
        assert np.any(mean.numpy()) == training


def test_bounded_activations_stay_within_six():
    store, network = slim.VariableStore(seed=0), small("v1", include_root_block=False)
    with slim.arg_scope([resnet_v1.bottleneck], use_bounded_activations=True):
        _, bounded = run(store, network, 100 * images(1, 32, 32, 3))
    _, free = run(store, network, 100 * images(1, 32, 32, 3))
    name = "small/block1/unit_1/bottleneck_v1"
    assert tf.reduce_max(free[name]) > 12
    assert tf.reduce_max(bounded[name]) <= 6
    assert tf.reduce_max(bounded[f"{name}/shortcut"]) <= 6


@pytest.mark.parametrize("version", NETWORKS)
def test_without_batch_norm_the_convolutions_have_biases(version):
    store = slim.VariableStore(seed=0)
    with slim.arg_scope(resnet_utils.resnet_arg_scope(use_batch_norm=False)):
        store.build(small(version), tf.TensorSpec([1, 32, 32, 3]))
    assert f"small/block1/unit_1/bottleneck_{version}/conv1/biases" in store.records
    assert not [name for name in store.records if "BatchNorm" in name]
    assert ("small/postnorm/beta" in store.records) == (version == "v2")


@pytest.mark.parametrize("version", [pytest.param("v1", marks=pytest.mark.slow), "v2"])
def test_depth_multiplier_scales_all_blocks_without_the_root(version):
    network = {"v1": resnet_v1.resnet_v1_50, "v2": resnet_v2.resnet_v2_50}[version]
    _, end_points, store = built(
        lambda x: network(x, depth_multiplier=0.25, min_base_depth=20, include_root_block=False),
        *(1, 16, 16, 8),
    )
    shapes = [end_points[f"resnet_{version}_50/block{n}"].shape[1:] for n in (1, 2, 3, 4)]
    assert shapes == [[8, 8, 80], [4, 4, 128], [2, 2, 256], [2, 2, 512]]
    assert not [name for name in store.records if name.startswith(f"resnet_{version}_50/conv1")]
    _, _, store = built(lambda x: network(x, depth_multiplier=0, min_base_depth=6), *(1, 32, 32, 3))
    inner = {v.shape[-1] for n, v in store.named_variables.items() if n.endswith("conv1/weights")}
    assert inner == {6, 64}  # and the root's
    with pytest.raises(ValueError, match="depth_multiplier=-1 must not be negative"):
        network(None, depth_multiplier=-1)
    with pytest.raises(ValueError, match="min_base_depth=0 must be positive"):
        network(None, min_base_depth=0)


def test_custom_units_need_no_arg_scope():
    def unit(net, depth, rate, stride):
        return slim.conv2d(net, depth, [3, 3], stride=stride, rate=rate, scope="only")

    blocks = [resnet_utils.Block("block1", unit, [{"depth": 4, "stride": 2}, {"depth": 6}])]
    _, end_points, _ = built(lambda x: resnet_v1.resnet_v1(x, blocks, scope="r"), 1, 32, 32, 3)
    assert [*end_points] == [
        "r/conv1",
        "r/block1/unit_1/only",
        "r/block1/unit_2/only",
        "r/block1",
        "global_pool",
    ]
