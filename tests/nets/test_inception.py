import numpy as np
import pytest
import tensorflow as tf

import slim
from nets import inception, inception_resnet_v2, inception_utils, inception_v2, inception_v3
from nets._branches import AvgPool, Conv, Fork, MaxPool, Mixed, as_layers
from nets._end_points import EndPoints, run_layers
from slim import _checks
from slim.store import ShapeStore


def built(fn, *shape):
    """Returns the outputs of `fn` for images of `shape`, and the store with its variables."""
    store, results = ShapeStore(seed=0), []
    store.build(lambda images: results.append(fn(images)), tf.TensorSpec(shape, tf.float32))
    return results[0], store


def shapes(end_points):
    return {name: net.shape.as_list() for name, net in end_points.items()}


# End points.


def test_layers_are_applied_up_to_final_endpoint():
    layers = {"double": lambda x: 2 * x, "add": lambda x: x + 1, "negate": lambda x: -x}
    net, end_points = run_layers(5, layers, "add")
    assert net == 11
    assert list(end_points.items()) == [("double", 10), ("add", 11)]


def test_end_points_report_the_final_one():
    end_points = EndPoints(["a", "b"], "b")
    assert [end_points.add("a", 1), end_points.add("b", 2)] == [False, True]
    assert end_points.tensors == {"a": 1, "b": 2}


BASES = {
    inception.inception_v1_base: "Conv2d_2b_1x1",
    inception.inception_v2_base: "Conv2d_2b_1x1",
    inception.inception_v3_base: "Conv2d_2b_3x3",
    inception.inception_v4_base: "Conv2d_2b_3x3",
    inception.inception_resnet_v2_base: "Conv2d_2b_3x3",
}


@pytest.mark.parametrize("base", BASES, ids=lambda base: base.__name__)
def test_base_ends_at_final_endpoint(base):
    third = BASES[base]
    (net, end_points), store = built(lambda x: base(x, final_endpoint=third), None, 64, 64, 3)
    assert len(end_points) == 3
    assert list(end_points)[-1] == third
    assert net is end_points[third]
    assert list(store.named_variables)[-1].split("/")[1] == third


@pytest.mark.parametrize("base", BASES, ids=lambda base: base.__name__)
def test_unknown_final_endpoint_is_an_error(base):
    known = "did you mean 'Conv2d_2b.*Known: Conv2d_1a_.x., "
    with pytest.raises(
        _checks.UserError, match=f"final_endpoint='Conv2d_2b' is not known.*{known}"
    ):
        base(tf.zeros([1, 64, 64, 3]), final_endpoint="Conv2d_2b")


@pytest.mark.parametrize("base", [inception.inception_v1_base, inception.inception_v2_base])
def test_base_without_the_root_block(base):
    def body(x):
        return base(x, final_endpoint="Mixed_3b", include_root_block=False)

    (_, end_points), _ = built(body, 2, 28, 28, 192)
    assert shapes(end_points) == {"Mixed_3b": [2, 28, 28, 256]}
    with pytest.raises(_checks.UserError, match="'Conv2d_2b_1x1' is not known.*Known: Mixed_3b, "):
        base(tf.zeros([1, 8, 8, 9]), final_endpoint="Conv2d_2b_1x1", include_root_block=False)


# The notation.


@pytest.mark.parametrize(
    "row, name",
    [
        (Conv("0a", 8, 1), "Conv2d_0a_1x1"),
        (Conv("0b", 8, (1, 7)), "Conv2d_0b_1x7"),
        (Conv("", 8, 1), "Conv2d_1x1"),
        (Conv("1a", 8, 3, scope="Conv2d_1a_1x1"), "Conv2d_1a_1x1"),
        (MaxPool("5a", 2), "MaxPool_5a_2x2"),
        (AvgPool("0a", (3, 5)), "AvgPool_0a_3x5"),
    ],
)
def test_name_of_a_row(row, name):
    assert row.name == name


def test_branches_share_the_input_and_are_concatenated_in_order():
    block = Mixed(
        [MaxPool("0a", 3), AvgPool("0b", 3)],
        [Conv("0a", 2, 1), Fork(Conv("0b", 3, (1, 3)), Conv("0c", 4, (3, 1)))],
    )
    images = np.random.RandomState(0).rand(2, 6, 5, 3).astype(np.float32)
    store = slim.VariableStore(seed=0)
    with store.as_default(), slim.arg_scope([slim.conv2d], activation_fn=None):
        mixed = as_layers({"Mixed_1a": block}, depth=lambda depth: 2 * depth)["Mixed_1a"](images)
        v = {
            name.removeprefix("Mixed_1a/Branch_1/"): w for name, w in store.named_variables.items()
        }
    pooled = tf.nn.avg_pool2d(tf.nn.max_pool2d(images, 3, 1, "SAME"), 3, 1, "SAME")
    half = tf.nn.conv2d(images, v["Conv2d_0a_1x1/weights"], 1, "SAME")
    wide = tf.nn.conv2d(half, v["Conv2d_0b_1x3/weights"], 1, "SAME")
    tall = tf.nn.conv2d(half, v["Conv2d_0c_3x1/weights"], 1, "SAME")
    assert mixed.shape == (2, 6, 5, 3 + 6 + 8)
    np.testing.assert_allclose(mixed, tf.concat([pooled, wide, tall], 3), rtol=1e-5, atol=1e-6)


def test_initial_standard_deviation_of_a_row():
    store = slim.VariableStore(seed=0)
    with store.as_default():
        Conv("0a", 64, 3, stddev=0.09).build(tf.zeros([1, 4, 4, 32]), lambda depth: depth, 3)
    # Truncation at two standard deviations reduces the standard deviation to 0.88 of it.
    deviation = np.std(store.named_variables["Conv2d_0a_3x3/weights"])
    assert deviation == pytest.approx(0.88 * 0.09, rel=0.02)


# The arg_scope.


@pytest.mark.parametrize(
    "arg_scope", [inception.inception_v3_arg_scope, inception.inception_resnet_v2_arg_scope]
)
def test_arg_scope_sets_batch_norm_and_regularization(arg_scope):
    scope = arg_scope(
        weight_decay=0.5,
        batch_norm_decay=0.75,
        batch_norm_epsilon=3.0,
        activation_fn=None,
        batch_norm_scale=True,
    )
    store = slim.VariableStore(seed=0)
    images = np.random.RandomState(0).randn(4, 5, 5, 3).astype(np.float32)
    with store.as_default(), slim.arg_scope(scope):
        net = slim.conv2d(images, 2, 1, scope="conv")
        penalty = tf.add_n(slim.losses.get_regularization_losses())
    v = {name: value.numpy() for name, value in store.named_variables.items()}
    plain = tf.nn.conv2d(images, v["conv/weights"], 1, "SAME").numpy()
    mean, variance = plain.mean((0, 1, 2)), plain.var((0, 1, 2))
    np.testing.assert_allclose(net, (plain - mean) / np.sqrt(variance + 3.0), atol=1e-5)
    np.testing.assert_allclose(v["conv/BatchNorm/moving_mean"], 0.25 * mean, atol=1e-6)
    assert "conv/BatchNorm/gamma" in v
    assert float(penalty) == pytest.approx(0.25 * np.sum(v["conv/weights"] ** 2), rel=1e-5)


def test_only_inception_resnet_regularizes_biases():
    def regularized(arg_scope):
        store = slim.VariableStore(seed=0)
        with store.as_default(), slim.arg_scope(arg_scope(weight_decay=0.1)):
            slim.fully_connected(tf.zeros([1, 2]), 3, scope="fc")
        return [record.name for record in store.records.values() if record.regularizer]

    assert regularized(inception.inception_v4_arg_scope) == ["fc/weights"]
    assert regularized(inception.inception_resnet_v2_arg_scope) == ["fc/weights", "fc/biases"]


def test_arg_scope_without_batch_norm():
    store = slim.VariableStore(seed=0)
    with (
        store.as_default(),
        slim.arg_scope(inception.inception_v1_arg_scope(use_batch_norm=False)),
    ):
        inception.inception_v1_base(tf.zeros([1, 32, 32, 3]), final_endpoint="Conv2d_1a_7x7")
    assert list(store.named_variables) == [
        "InceptionV1/Conv2d_1a_7x7/weights",
        "InceptionV1/Conv2d_1a_7x7/biases",
    ]


# Widths and layouts.


@pytest.mark.parametrize(
    "multiplier, min_depth, depths",
    [(1.0, 16, [64, 64, 192]), (0.5, 16, [32, 32, 96]), (2.0, 16, [128, 128, 384]),
     (0.1, 16, [16, 16, 19]), (0.1, 8, [8, 8, 19])],
)  # fmt: skip
def test_depth_multiplier_scales_down_to_min_depth(multiplier, min_depth, depths):
    def thin(x):
        return inception.inception_v2_base(
            x, "Conv2d_2c_3x3", depth_multiplier=multiplier, min_depth=min_depth
        )

    (_, end_points), _ = built(thin, None, 32, 32, 3)
    convolutions = [net for name, net in end_points.items() if name.startswith("Conv")]
    assert [net.shape[3] for net in convolutions] == depths


@pytest.mark.parametrize("network", [inception.inception_v2, inception.inception_v3])
@pytest.mark.parametrize("multiplier", [0.0, -1.0])
def test_nonpositive_depth_multiplier_is_an_error(network, multiplier):
    with pytest.raises(_checks.UserError, match=f"depth_multiplier={multiplier} must be positive"):
        network(tf.zeros([1, 32, 32, 3]), 10, depth_multiplier=multiplier)


def test_first_convolution_of_v2_may_be_separable():
    def first(use_separable_conv):
        base = inception.inception_v2_base
        _, store = built(
            lambda x: base(x, "Conv2d_1a_7x7", use_separable_conv=use_separable_conv), 1, 32, 32, 3
        )
        return {name.split("/", 2)[2]: v.shape for name, v in store.named_variables.items()}

    assert first(True) == {
        "depthwise_weights": (7, 7, 3, 8),
        "pointwise_weights": (1, 1, 24, 64),
        "biases": (64,),
    }
    assert first(False) == {"weights": (7, 7, 3, 64), "biases": (64,)}


def test_channels_first_equals_channels_last():
    images = np.random.RandomState(0).rand(2, 48, 32, 3).astype(np.float32)
    store = slim.VariableStore(seed=0)

    def outputs(images, data_format):
        with store.as_default():
            return inception.inception_v2_base(
                images, "Mixed_4a", use_separable_conv=False, data_format=data_format
            )[1]

    last = outputs(images, "NHWC")
    first = outputs(images.transpose(0, 3, 1, 2), "NCHW")
    assert last["Mixed_4a"].shape == (2, 3, 2, 576)
    for name, net in last.items():
        np.testing.assert_allclose(tf.transpose(first[name], [0, 2, 3, 1]), net, atol=1e-4)


@pytest.mark.parametrize(
    "data_format, message",
    [
        ("NCHW", "data_format='NCHW' needs use_separable_conv=False"),
        ("NHCW", "data_format='NHCW' is not known; did you mean 'NHWC'.*Known: NHWC, NCHW"),
    ],
)
def test_unsupported_data_format_of_v2_is_an_error(data_format, message):
    with pytest.raises(_checks.UserError, match=message):
        inception.inception_v2_base(tf.zeros([1, 3, 32, 32]), data_format=data_format)


# Strides and padding of Inception-ResNet v2.


@pytest.mark.parametrize("align, sizes", [(False, [37, 17, 7]), (True, [38, 19, 10])])
def test_align_feature_maps_changes_the_sizes(align, sizes):
    def stem(x):
        return inception.inception_resnet_v2_base(x, "MaxPool_5a_3x3", align_feature_maps=align)

    (_, end_points), _ = built(stem, 1, 75, 75, 3)
    names = ["Conv2d_1a_3x3", "MaxPool_3a_3x3", "MaxPool_5a_3x3"]
    assert [end_points[name].shape[1] for name in names] == sizes


@pytest.mark.slow
def test_output_stride_8_contains_the_values_of_16():
    images = np.random.RandomState(0).rand(1, 107, 123, 3).astype(np.float32)
    store = slim.VariableStore(seed=0)

    def end_points(output_stride):
        with store.as_default():
            base = inception.inception_resnet_v2_base
            return base(images, "PreAuxLogits", output_stride=output_stride)[1]

    coarse, fine = end_points(16), end_points(8)
    assert coarse["PreAuxLogits"].shape == (1, 5, 6, 1088)
    assert fine["PreAuxLogits"].shape == (1, 9, 11, 1088)
    for name in ("Mixed_6a", "PreAuxLogits"):
        scale = np.std(coarse[name])
        np.testing.assert_allclose(fine[name][:, ::2, ::2], coarse[name], atol=1e-4 * scale)


@pytest.mark.parametrize("final_endpoint", ["Mixed_7a", "Conv2d_7b_1x1"])
def test_output_stride_8_with_a_late_final_endpoint_is_an_error(final_endpoint):
    message = f"final_endpoint='{final_endpoint}' is not supported with output_stride=8"
    with pytest.raises(_checks.UserError, match=message):
        inception.inception_resnet_v2_base(tf.zeros([1, 75, 75, 3]), final_endpoint, 8)


def test_unknown_output_stride_is_an_error():
    with pytest.raises(_checks.UserError, match="output_stride=4 is not known.*Known: 8, 16"):
        inception.inception_resnet_v2_base(tf.zeros([1, 75, 75, 3]), output_stride=4)


BLOCKS = [
    inception_resnet_v2.block35,
    inception_resnet_v2.block17,
    inception_resnet_v2.block8,
]


@pytest.mark.parametrize("block", BLOCKS)
@pytest.mark.parametrize("activation_fn", [None, tf.nn.relu, tf.nn.relu6])
def test_residual_is_scaled_added_and_activated(block, activation_fn):
    images = 200 * np.random.RandomState(0).randn(1, 5, 5, 8).astype(np.float32)
    store = slim.VariableStore(seed=0)

    def output(scale, activation_fn):
        with store.as_default():
            return block(images, scale, activation_fn, scope="block").numpy()

    residual = output(1.0, None) - images
    assert np.abs(residual).max() > 6 / 0.3
    expected = 0.3 * residual
    if activation_fn is tf.nn.relu6:
        expected = np.clip(expected, -6, 6)
    expected = images + expected
    if activation_fn:
        expected = activation_fn(expected).numpy()
    np.testing.assert_allclose(output(0.3, activation_fn), expected, rtol=1e-4, atol=1e-3)


# Heads.


@pytest.mark.parametrize(
    "shape, window",
    [((2, 7, 7, 1), (7, 7)), ((2, 3, 9, 1), (3, 7)), ((None, None, None, 1), (7, 7))],
)
def test_window_that_fits(shape, window):
    spec = tf.keras.Input(shape[1:], batch_size=shape[0])
    assert inception_utils.window_that_fits(spec, 7) == window


@pytest.mark.parametrize(
    "shape, sized, message",
    [
        ((1, 4, 9, 8), False, "create_aux_logits=True: images of this size have 4 x 9 positions"),
        ((1, None, None, 8), True, "create_aux_logits=True needs images whose height and width"),
    ],
)
def test_aux_logits_with_small_or_unknown_images_are_an_error(shape, sized, message):
    def aux(net):
        inception_utils.pool_for_aux_logits(net, "pool", sized)

    with pytest.raises(_checks.UserError, match=message):
        built(aux, *shape)


def test_aux_logits_without_fixed_size_accept_unknown_images():
    net, _ = built(
        lambda x: inception_utils.pool_for_aux_logits(x, "pool", False), 1, None, None, 8
    )
    assert net.shape.as_list() == [1, None, None, 8]


@pytest.mark.parametrize("size", [8, None])
def test_pool_whole_image_is_the_mean(size):
    images = np.random.RandomState(0).rand(2, 8, 8, 3).astype(np.float32)

    @tf.function(input_signature=[tf.TensorSpec([None, size, size, 3])])
    def pooled(x):
        return inception_utils.pool_whole_image(x, "pool")

    np.testing.assert_allclose(pooled(images), images.mean((1, 2), keepdims=True), rtol=1e-5)


def head(net, **options):
    options = {
        "num_classes": 10, "window": 7, "global_pool": False, "global_pool_name": "global_pool",
        "dropout_keep_prob": 1.0, "spatial_squeeze": True, "prediction_fn": slim.softmax, **options,
    }  # fmt: skip
    end_points = {}
    return inception_utils.convolutional_head(net, end_points, **options), end_points


@pytest.mark.parametrize("num_classes", [0, None])
@pytest.mark.parametrize("global_pool, name", [(False, "AvgPool_1a"), (True, "global_pool")])
def test_head_without_classes_returns_features(num_classes, global_pool, name):
    (net, end_points), store = built(
        lambda x: head(x, num_classes=num_classes, global_pool=global_pool), 2, 5, 4, 32
    )
    assert net is end_points[name]
    assert shapes(end_points) == {name: [2, 1, 1, 32]}
    assert not store.named_variables


def test_head_of_a_large_image_outputs_a_map_of_logits():
    (net, _), _ = built(lambda x: head(x, spatial_squeeze=False), 2, 11, 9, 32)
    assert net.shape.as_list() == [2, 3, 2, 10]  # the stride is 2
    (net, _), _ = built(lambda x: head(x, global_pool=True), 2, 11, 9, 32)
    assert net.shape.as_list() == [2, 10]
    with pytest.raises(_checks.UserError, match="spatial_squeeze"):
        built(head, 2, 11, 9, 32)


@pytest.mark.slow
def test_v1_supports_images_of_any_size():
    def logits(**options):
        return lambda x: inception.inception_v1(x, 10, is_training=False, **options)

    (net, end_points), _ = built(logits(global_pool=True), None, None, None, 3)
    assert net.shape.as_list() == [None, 10]
    assert end_points["global_pool"].shape.as_list() == [None, 1, 1, 1024]
    (net, _), _ = built(logits(spatial_squeeze=False), 1, 300, 224, 3)
    assert net.shape.as_list() == [1, 4, 1, 10]
    with pytest.raises(_checks.UserError, match="has 4 x 4 positions.*or global_pool=True"):
        built(logits(), 1, 100, 100, 3)


@pytest.mark.slow
@pytest.mark.parametrize(
    "network, final, channels",
    [
        (inception.inception_v1, "AvgPool_0a_7x7", 1024),
        (inception.inception_v2, "AvgPool_1a", 1024),
        (inception.inception_v3, "AvgPool_1a", 2048),
        (inception.inception_v4, "global_pool", 1536),
        (inception.inception_resnet_v2, "global_pool", 1536),
    ],
)
@pytest.mark.parametrize("num_classes", [0, None])
def test_no_classes_returns_features(network, final, channels, num_classes):
    size = network.default_image_size
    (net, end_points), store = built(lambda x: network(x, num_classes), None, size, size, 3)
    assert net is end_points[final]
    assert net.shape.as_list() == [None, 1, 1, channels]
    assert list(end_points)[-1] == final
    assert not any("Logits/" in name for name in store.named_variables)


@pytest.mark.slow
@pytest.mark.parametrize(
    "network", [inception.inception_v3, inception.inception_v4, inception.inception_resnet_v2]
)
def test_unknown_image_size_is_supported_without_aux_logits(network):
    (logits, end_points), store = built(
        lambda x: network(x, 10, create_aux_logits=False), None, None, None, 3
    )
    assert logits.shape[-1] == 10
    assert "AuxLogits" not in end_points
    assert not any("/AuxLogits/" in name for name in store.named_variables)


@pytest.mark.slow
def test_second_call_with_reuse_computes_the_same():
    store = slim.VariableStore(seed=0)
    images = np.random.RandomState(0).rand(1, 224, 224, 3).astype(np.float32)

    @tf.function
    def twice(x):
        with store.as_default():
            first, _ = inception.inception_v1(x, 10, is_training=False)
            second, _ = inception.inception_v1(x, 10, is_training=False, reuse=True)
            return first, second

    first, second = twice(images)
    np.testing.assert_array_equal(first, second)


def test_second_call_without_reuse_is_an_error():
    def twice(x):
        for _ in range(2):
            inception.inception_v1_base(x, "Conv2d_1a_7x7")

    with pytest.raises(ValueError, match="already requested in this pass"):
        built(twice, 1, 32, 32, 3)


def test_inception_module_exports_all_versions():
    assert inception.inception_v2 is inception_v2.inception_v2
    assert inception.inception_v3_arg_scope is inception_v3.inception_v3_arg_scope
    assert inception_v3.inception_v3.default_image_size == 299
