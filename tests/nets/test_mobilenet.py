"""MobileNets of versions 2 and 3: tables, widths, strides, and scopes."""

import copy
import functools

import numpy as np
import pytest
import tensorflow as tf

import slim
from nets.mobilenet import blocks, conv_blocks, mobilenet_v2, network, v2, v3
from slim._checks import UserError
from slim.store import ShapeStore

TINY = {
    **v2.V2_DEF,
    "spec": [
        network.op(slim.conv2d, stride=2, num_outputs=16, kernel_size=[3, 3]),
        network.op(blocks.expanded_conv, stride=1, num_outputs=16),
        network.op(blocks.expanded_conv, stride=2, num_outputs=24),
        network.op(slim.conv2d, stride=1, num_outputs=64, kernel_size=[1, 1]),
    ],
}


def traced(fn, *shape):
    """Returns the outputs of `fn` for images of a shape, without computing them."""
    results = []
    store = ShapeStore(seed=0)
    store.build(lambda images: results.append(fn(images)), tf.TensorSpec(shape, tf.float32))
    return (*results[0], store)


def images(size=32, batch=1):
    values = np.random.RandomState(0).uniform(-1, 1, [batch, size, size, 3])
    return tf.constant(values, tf.float32)


def depths(store):
    return {
        variable.shape[-1]
        for name, variable in store.named_variables.items()
        if name.endswith("/weights")
    }


def inner_depths(store):
    return [
        variable.shape[2]
        for name, variable in store.named_variables.items()
        if name.endswith("depthwise_weights")
    ]


def test_tf_slims_module_names_are_available():
    assert mobilenet_v2 is v2
    assert conv_blocks is blocks


# Depths and widths


def _in_place(params, multiplier):  # as a row's function in TF-Slim
    params["num_outputs"] = int(params["num_outputs"] * multiplier) + 1


@pytest.mark.parametrize("multiplier_func", [_in_place, lambda p, m: {**p, "num_outputs": 9}])
def test_a_row_may_have_its_own_multiplier_function(multiplier_func):
    row = network.op(slim.conv2d, multiplier_func, num_outputs=16, kernel_size=[3, 3])
    table = {**v2.V2_DEF, "spec": [row, row]}
    fn = functools.partial(network.mobilenet_base, conv_defs=table, multiplier=0.5)
    _, _, store = traced(fn, 1, 8, 8, 3)
    assert depths(store) == {9}
    assert row.params["num_outputs"] == 16


def test_v2_channels_with_a_divisor_and_a_minimum_depth():
    store = traced(lambda x: v2.mobilenet(x, divisible_by=16, min_depth=32), 1, 32, 32, 3)[-1]
    assert depths(store) == {32, 64, 96, 160, 192, 320, 384, 576, 960, 1280, 1001}


def test_minimum_depth_can_be_set_by_arg_scope():
    def build(x):
        with slim.arg_scope([network.depth_multiplier], min_depth=32):
            return v2.mobilenet(x, depth_multiplier=0.1)

    assert depths(traced(build, 1, 32, 32, 3)[-1]) == {32, 192, 128, 1001}


def test_finegrain_mode_does_not_narrow_the_last_layer():
    def last(**kwargs):
        net, _, _ = traced(lambda x: v2.mobilenet_base(x, **kwargs), 1, 32, 32, 3)
        return net.shape[-1]

    assert last(depth_multiplier=0.01, finegrain_classification_mode=True) == 1280
    assert last(depth_multiplier=0.01, conv_defs=TINY) == 8
    tiny = {"conv_defs": TINY, "finegrain_classification_mode": True}
    assert last(depth_multiplier=2.0, **tiny) == 128  # version 2 widens it, version 3 does not
    net, _, _ = traced(lambda x: v3.mobilenet_base(x, 2.0, **tiny), 1, 32, 32, 3)
    assert net.shape[-1] == 64


@pytest.mark.parametrize("table", [v3.V3_LARGE, v3.V3_LARGE_MINIMALISTIC])
@pytest.mark.parametrize("factor, expected", [
    (1.0, [16, 64, 72, 72, 120, 120, 240, 200, 184, 184, 480, 672, 672, 960, 960]),  # Table 1
    (0.75, [16, 64, 72, 72, 96, 96, 192, 160, 144, 144, 384, 528, 528, 720, 720]),
])  # fmt: skip
def test_v3_large_expands_as_in_the_papers_table_1(table, factor, expected):
    rows = [row.params for row in table["spec"] if row.op is blocks.expanded_conv]
    channels, sizes = blocks.make_divisible(16 * factor, 8), []
    for params in rows:
        sizes.append(params["expansion_size"](num_inputs=channels))
        channels = network.depth_multiplier(params, factor)["num_outputs"]
    assert sizes == expected


def test_minimalistic_tables_have_small_kernels_relu_and_no_gates():
    rows = v3.V3_SMALL_MINIMALISTIC["spec"] + v3.V3_LARGE_MINIMALISTIC["spec"]
    for params in (row.params for row in rows if row.op is blocks.expanded_conv):
        assert params["kernel_size"] == (3, 3)
        assert params["inner_activation_fn"] is tf.nn.relu
        assert params["expansion_transform"] is None


def test_detection_tables_halve_the_last_rows():
    def outputs(table):
        return [row.params.get("num_outputs") for row in table["spec"]]

    assert outputs(v3.V3_LARGE_DETECTION)[12:18] == [112, 80, 80, 80, 480, None]
    assert outputs(v3.V3_LARGE)[12:18] == [112, 160, 160, 160, 960, None]
    assert outputs(v3.V3_SMALL_DETECTION)[8:14] == [48, 48, 48, 48, 288, None]


def test_variants_bind_their_tables():
    assert v2.mobilenet_v2_035.__doc__ == v2.mobilenet.__doc__
    assert v3.edge_tpu_075.default_image_size == 224
    assert v3.small.keywords["conv_defs"] is v3.V3_SMALL


def test_override_applies_to_all_blocks():
    table = copy.deepcopy(TINY)
    table["overrides"] = {(blocks.expanded_conv,): {"split_expansion": 2}}
    table["spec"][2].params["num_outputs"] = 32
    _, end_points, store = traced(lambda x: v2.mobilenet(x, 5, conv_defs=table), 1, 32, 32, 3)
    parts = [k for k in end_points if "part" in k]
    assert parts == [f"layer_{i}/expand_part_{p}_output" for i in (2, 3) for p in (0, 1)]
    assert "MobilenetV2/expanded_conv/expand_part_1/weights" in store.named_variables


def test_activation_fn_replaces_relu6():
    with slim.VariableStore(seed=0).as_default():
        _, end_points = v2.mobilenet_base(images(), conv_defs=TINY, activation_fn=tf.nn.tanh)
    assert np.abs(end_points["layer_1"]).max() <= 1
    assert end_points["layer_1"].numpy().min() < 0


def test_group_norm_replaces_batch_norm():
    def build(x):
        return v2.mobilenet_base_group_norm(x, groups=4, final_endpoint="layer_3")

    store = traced(build, 1, 32, 32, 3)[-1]
    names = set(store.named_variables)
    assert "MobilenetV2/expanded_conv_1/depthwise/GroupNorm/gamma" in names
    assert not any("BatchNorm" in name for name in names)


# Strides and sizes


@pytest.mark.parametrize(
    "output_stride", [1, *(pytest.param(each, marks=pytest.mark.slow) for each in (2, 4)), 8]
)
@pytest.mark.parametrize(
    "version, table, last",
    [(v2, v2.V2_DEF, "layer_8"), (v3, v3.V3_EDGETPU, "layer_8")],
    ids=["v2", "edgetpu"],
)
def test_dilated_maps_contain_the_values_of_the_strided_ones(version, table, last, output_stride):
    store = slim.VariableStore(seed=0)

    def base(output_stride):
        with store.as_default(), slim.arg_scope(version.training_scope(is_training=False)):
            net, _ = version.mobilenet_base(
                images(), conv_defs=table, final_endpoint=last,
                output_stride=output_stride, use_explicit_padding=True,
            )  # fmt: skip
        return net.numpy()

    dense, strided = base(output_stride), base(None)
    step = dense.shape[1] // strided.shape[1]
    assert dense.shape[1:3] == (32 // output_stride,) * 2
    atol = 1e-5 * strided.std()
    np.testing.assert_allclose(dense[:, ::step, ::step], strided, rtol=1e-3, atol=atol)


@pytest.mark.parametrize(
    "size, shapes",
    [
        pytest.param(96, [48, 24, 12, 6, 3], marks=pytest.mark.slow),
        (65, [33, 17, 9, 5, 3]),
    ],
)
@pytest.mark.parametrize("explicit", [False, True])
def test_explicit_padding_results_in_the_same_sizes(size, shapes, explicit):
    def build(x):
        return v3.mobilenet_base(
            x, 0.1, final_endpoint="layer_17", use_explicit_padding=explicit
        )  # fmt: skip

    _, end_points, _ = traced(build, 1, size, size, 3)
    layers = [f"layer_{number}" for number in (1, 3, 5, 8, 14)]
    assert [end_points[layer].shape[1] for layer in layers] == shapes


def test_v3_supports_output_stride_with_explicit_padding():
    logits, end_points, _ = traced(
        lambda x: v3.small(x, 5, output_stride=8, use_explicit_padding=True), 1, 64, 96, 3
    )
    assert end_points["layer_13"].shape.as_list() == [1, 8, 12, 576]
    assert end_points["layer_14"].shape.as_list() == [1, 2, 6, 576]  # windows of 7x7, not a square
    assert logits.shape.as_list() == [1, 5]


def test_unreachable_output_stride_is_an_error():
    with pytest.raises(UserError, match=r"output_stride=6 is not known.*Known: 1, 2, 4"):
        traced(lambda x: v2.mobilenet(x, conv_defs=TINY, output_stride=6), 1, 32, 32, 3)


def test_unknown_final_endpoint_is_an_error():
    with pytest.raises(UserError, match=r"final_endpoint='layer_9' is not known; did you mean"):
        traced(lambda x: v2.mobilenet(x, conv_defs=TINY, final_endpoint="layer_9"), 1, 32, 32, 3)


@pytest.mark.parametrize("version", [v2, v3])
def test_nonpositive_multiplier_and_minimum_depth_are_errors(version):
    with pytest.raises(UserError, match="depth_multiplier=0 must be positive"):
        version.mobilenet(images(), depth_multiplier=0, finegrain_classification_mode=True)
    with pytest.raises(UserError, match="min_depth=-8 must be positive"):
        version.mobilenet(images(), min_depth=-8)


@pytest.mark.parametrize("num_classes", [None, 0])
def test_no_classes_returns_features(num_classes):
    net, end_points, store = traced(
        lambda x: v2.mobilenet(x, num_classes, conv_defs=TINY), None, None, None, 3
    )
    assert net.shape.as_list() == [None, 1, 1, 64]
    assert list(end_points)[-1] == "global_pool"
    assert not any("Logits" in name for name in store.named_variables)


def test_end_points_list_layers_before_their_inner_outputs():
    _, end_points, _ = traced(
        lambda x: v2.mobilenet(x, 5, conv_defs=TINY, final_endpoint="layer_2", prediction_fn=None),
        2, 32, 32, 3,
    )  # fmt: skip
    inside = [f"layer_2/{name}" for name in ("expansion_output", "depthwise_output", "output")]
    assert list(end_points) == ["layer_1", "layer_2", *inside, "global_pool", "Logits"]
    assert end_points["layer_2/output"] is end_points["layer_2"]


def test_pooling_over_images_of_unknown_size_is_the_mean():
    store, x = slim.VariableStore(seed=0), images(24)

    def features(x):
        with store.as_default():
            return v2.mobilenet(x, None, conv_defs=TINY)[0]

    signature = [tf.TensorSpec([None, None, None, 3])]
    unknown = tf.function(features, input_signature=signature, autograph=False)
    np.testing.assert_allclose(unknown(x), features(x), rtol=1e-4, atol=1e-6)


# Modes


def moving_averages_change(**kwargs):
    store = slim.VariableStore(seed=0)
    with store.as_default():
        v2.mobilenet(images(batch=2), 5, conv_defs=TINY, **kwargs)
    return bool(np.any(store.named_variables["MobilenetV2/Conv/BatchNorm/moving_mean"].numpy()))


def test_is_training_argument_overrides_the_scope():
    assert not moving_averages_change()
    with slim.arg_scope(v2.training_scope()):
        assert moving_averages_change()
        assert not moving_averages_change(is_training=False)
    with slim.arg_scope(v2.training_scope(is_training=False)):
        assert not moving_averages_change()
        assert moving_averages_change(is_training=True)


def test_scope_with_none_leaves_the_mode_unset():
    scope = network.training_scope(is_training=None, dropout_keep_prob=None, bn_decay=None)
    for layer in (slim.batch_norm, slim.dropout):
        assert scope[slim.arg_scope_func_key(layer)] == {}
    with slim.arg_scope(scope):
        with slim.arg_scope([slim.batch_norm], is_training=False):
            assert not moving_averages_change()
        with slim.arg_scope([slim.batch_norm], is_training=True):
            assert moving_averages_change()


def test_training_scope_has_tf_slims_defaults():
    scope = v3.training_scope(weight_decay=0.5, stddev=-1)
    assert scope[slim.arg_scope_func_key(slim.batch_norm)] == {"is_training": True, "decay": 0.997}
    assert scope[slim.arg_scope_func_key(slim.dropout)] == {"is_training": True, "keep_prob": 0.8}
    assert scope[slim.arg_scope_func_key(slim.separable_conv2d)]["weights_regularizer"] is None
    regularizer = scope[slim.arg_scope_func_key(slim.conv2d)]["weights_regularizer"]
    assert float(regularizer(tf.constant([2.0]))) == pytest.approx(0.5 * 2.0**2 / 2)
    xavier = scope[slim.arg_scope_func_key(slim.conv2d)]["weights_initializer"]
    assert np.abs(xavier([1, 1, 4, 4])).max() <= np.sqrt(6 / 8)


def test_dropout_keep_prob_overrides_the_scope():
    def logits(keep_prob):
        with slim.VariableStore(seed=0).as_default(), slim.arg_scope(v2.training_scope()):
            return v2.mobilenet(images(batch=2), 5, conv_defs=TINY, dropout_keep_prob=keep_prob)[0]

    np.testing.assert_array_equal(logits(1.0), logits(1.0))
    assert np.any(logits(0.5) != logits(0.5))


# Blocks


@pytest.mark.parametrize(
    "value, divisor, minimum, expected",
    [(33, 8, None, 32), (36, 8, None, 40), (3, 8, None, 8), (11, 8, None, 16), (10, 16, 32, 32)],
)
def test_make_divisible(value, divisor, minimum, expected):
    assert blocks.make_divisible(value, divisor, minimum) == expected


@pytest.mark.parametrize("total, ways, by, expected", [
    (32, 2, 8, [16, 16]), (24, 2, 8, [16, 8]), (56, 3, 8, [24, 16, 16]), (9, 3, 1, [3, 3, 3]),
])  # fmt: skip
def test_split_sizes(total, ways, by, expected):
    assert blocks.split_sizes(total, ways, by) == expected


def test_indivisible_channels_are_an_error():
    with pytest.raises(ValueError, match="20 channels cannot be split into 2 parts that are mult"):
        blocks.split_sizes(20, 2, 8)


def test_too_few_channels_are_not_split():
    def build(x):
        return blocks.split_conv(x, 8, 2, "mix"), {}

    assert set(traced(build, 1, 4, 4, 16)[-1].named_variables) == {"mix/weights", "mix/biases"}


@pytest.mark.parametrize("location, inside, multiplied", [
    ("input", ["depthwise_output", "expansion_output", "output"], [8]),
    ("expansion", ["expansion_output", "depthwise_output", "output"], [48]),
    ("output", ["expansion_output", "depthwise_output", "output"], [12]),
    (None, ["expansion_output", "output"], []),
])  # fmt: skip
def test_depthwise_location_places_the_filters(location, inside, multiplied):
    end_points = {}
    stride = 2 if location else 1

    def build(x):
        net = blocks.expanded_conv(
            x, 12, stride=stride, depthwise_location=location, endpoints=end_points
        )
        return net, end_points

    net, _, store = traced(build, 1, 8, 8, 8)
    assert list(end_points) == inside
    assert inner_depths(store) == multiplied
    assert net.shape.as_list() == [1, 8 // stride, 8 // stride, 12]


def test_residual_is_added_where_the_shapes_agree():
    def build(**kwargs):
        with slim.VariableStore(seed=0).as_default():
            return blocks.expanded_conv(tf.ones([1, 4, 4, 8]), 8, **kwargs).numpy()

    plain = build(residual=False)
    np.testing.assert_allclose(build(), plain + 1, rtol=1e-5)
    doubled = build(residual=lambda input_tensor, output_tensor: output_tensor * 2)
    np.testing.assert_allclose(doubled, plain * 2, rtol=1e-5)
    np.testing.assert_array_equal(build(stride=2), build(stride=2, residual=False))


def test_depthwise_activation_overrides_the_inner_one():
    end_points = {}
    with slim.VariableStore(seed=0).as_default():
        blocks.expanded_conv(
            images(8), 8, endpoints=end_points,
            inner_activation_fn=tf.nn.relu, depthwise_activation_fn=lambda x: -tf.nn.relu(x),
        )  # fmt: skip
    assert end_points["expansion_output"].numpy().min() >= 0
    assert end_points["depthwise_output"].numpy().max() <= 0


def test_invalid_arguments_of_a_block_are_errors():
    x = images(8)
    with pytest.raises(UserError, match="depthwise_location='expand' is not known; did you mean"):
        blocks.expanded_conv(x, 8, depthwise_location="expand")
    with pytest.raises(ValueError, match="use_explicit_padding=True needs padding='SAME', not 'VA"):
        blocks.expanded_conv(x, 8, padding="VALID", use_explicit_padding=True)
    with slim.VariableStore().as_default():
        with pytest.raises(ValueError, match="stride=2 needs depthwise filters or a fused expans"):
            blocks.expanded_conv(x, 8, stride=2, depthwise_location=None)


def test_squeeze_excite_computes_one_gate_per_channel():
    x = tf.constant(np.random.RandomState(1).uniform(0.5, 1, [2, 3, 5, 24]), tf.float32)
    with slim.VariableStore(seed=0).as_default() as one_pass:
        gates = (blocks.squeeze_excite(x, squeeze_factor=4) / x).numpy()
    assert gates.shape == (2, 3, 5, 24)
    np.testing.assert_allclose(gates, np.broadcast_to(gates[:, :1, :1], gates.shape), rtol=1e-5)
    w = {name.split("/", 1)[1]: v.numpy() for name, v in one_pass.store.named_variables.items()}
    inner = np.maximum(x.numpy().mean((1, 2)) @ w["Conv/weights"][0, 0], 0)
    expected = 1 / (1 + np.exp(-inner @ w["Conv_1/weights"][0, 0]))
    assert inner.shape == (2, 8)  # a quarter of 24, but no less than 8
    np.testing.assert_allclose(gates[:, 0, 0], expected, rtol=1e-5)


def test_squeeze_excite_accepts_another_input_for_the_gates():
    with slim.VariableStore(seed=0).as_default():
        net = blocks.squeeze_excite(tf.ones([1, 2, 2, 16]), squeeze_input_tensor=images(8))
    assert net.shape.as_list() == [1, 2, 2, 16]


def test_hard_swish_and_the_gate_approximate_a_sixth_differently():
    x = tf.constant([-4.0, -3.0, 0.0, 1.0, 3.0, 100.0])
    np.testing.assert_allclose(v3.hard_swish(x), [0, 0, 0, 4 / 6, 3, 100], rtol=1e-6)
    gate = v3.hard_sigmoid_gate(x).numpy()
    np.testing.assert_allclose(gate, np.clip(x.numpy() + 3, 0, 6) * 0.16667, rtol=1e-6)
    assert gate[-1] > 1.00001


@pytest.mark.parametrize("height, width, expected", [
    (7, 7, (1, 1)), (10, 10, (1, 1)), (8, 9, (2, 3)), (3, 4, (1, 1)), (None, 7, (None, 1)),
])  # fmt: skip
def test_reduce_to_1x1(height, width, expected):
    def build(x):
        return v3.reduce_to_1x1(x), {}

    assert traced(build, 1, height, width, 2)[0].shape.as_list() == [1, *expected, 2]
