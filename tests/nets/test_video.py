"""I3D and S3D-G."""

import functools

import numpy as np
import pytest
import tensorflow as tf

import slim
from nets import i3d, i3d_utils, s3dg
from slim.store import ShapeStore

LAYERS = [
    "Conv2d_1a_7x7", "MaxPool_2a_3x3", "Conv2d_2b_1x1", "Conv2d_2c_3x3", "MaxPool_3a_3x3",
    "Mixed_3b", "Mixed_3c", "MaxPool_4a_3x3", "Mixed_4b", "Mixed_4c", "Mixed_4d", "Mixed_4e",
    "Mixed_4f", "MaxPool_5a_2x2", "Mixed_5b", "Mixed_5c",
]  # fmt: skip


def values(*shape, seed=3):
    return np.random.RandomState(seed).standard_normal(shape).astype(np.float32)


def built(fn, *shape, arg_scope=None):
    """Returns the symbolic outputs and end points, and the store."""
    store, results = ShapeStore(seed=0), []
    with slim.arg_scope(arg_scope or s3dg.s3dg_arg_scope()):
        store.build(lambda x: results.append(fn(x)), tf.TensorSpec(shape))
    return *results[0], store


@pytest.mark.parametrize("base", [s3dg.s3dg_base, i3d.i3d_base])
@pytest.mark.parametrize(
    "final_endpoint",
    ["Conv2d_1a_7x7", "Conv2d_2c_3x3", pytest.param("Mixed_4c", marks=pytest.mark.slow)],
)
def test_base_ends_at_final_endpoint(base, final_endpoint):
    net, end_points, _ = built(
        lambda x: base(x, final_endpoint=final_endpoint), *(None, 8, 64, 64, 3)
    )
    assert list(end_points) == LAYERS[: LAYERS.index(final_endpoint) + 1]
    assert end_points[final_endpoint] is net


@pytest.mark.parametrize(
    "kwargs, message",
    [
        ({"final_endpoint": "Mixed_5d"}, "final_endpoint='Mixed_5d' is not known; did you mean"),
        ({"temporal_conv_startat": "Conv2d_1a_7x7"}, "temporal_conv_startat='Conv2d_1a_7x7' is"),
        ({"gating_startat": "MaxPool_3a_3x3"}, "gating_startat='MaxPool_3a_3x3' is not known"),
        ({"first_temporal_kernel_size": 2}, "first_temporal_kernel_size=2 is not known. Known: 1"),
        ({"data_format": "NHWC"}, "data_format='NHWC' is not known; did you mean 'NDHWC'"),
        ({"depth_multiplier": 0}, "depth_multiplier=0 must be positive"),
    ],
)
def test_invalid_options_are_errors(kwargs, message):
    with pytest.raises(ValueError, match=message):
        built(lambda x: s3dg.s3dg_base(x, **kwargs), 1, 8, 64, 64, 3)


def test_temporal_convolutions_and_gates_start_at_the_named_layers():
    def base(inputs, *args, **kwargs):
        return s3dg.s3dg_base(inputs, *args, final_endpoint="Mixed_4b", **kwargs)

    *_, store = built(
        lambda x: base(x, 5, temporal_conv_startat="Mixed_3b", gating_startat="Mixed_4b"),
        *(1, 8, 64, 64, 3),
    )
    temporal = {name.split("/")[1] for name in store.records if "/temporal/" in name}
    gated = {name.split("/")[1] for name in store.records if "/self_gating/" in name}
    assert temporal == {"Mixed_3b", "Mixed_3c", "Mixed_4b"}
    assert gated == {"Mixed_4b"}
    assert store.named_variables["InceptionV1/Conv2d_1a_7x7/weights"].shape[0] == 5
    *_, store = built(
        lambda x: base(x, 1, temporal_conv_startat=None, gating_startat=None), 1, 8, 64, 64, 3
    )
    assert not [name for name in store.records if "temporal" in name or "gating" in name]
    kernels = [v.shape[0] for k, v in store.named_variables.items() if k.endswith("weights")]
    assert set(kernels) == {1}


def test_depth_multiplier_scales_down_to_min_depth():
    _, end_points, _ = built(
        lambda x: s3dg.s3dg_base(x, depth_multiplier=0.25, min_depth=10, final_endpoint="Mixed_3c"),
        *(1, 8, 64, 64, 3),
    )
    assert end_points["Conv2d_1a_7x7"].shape[-1] == 16
    assert end_points["Mixed_3b"].shape[-1] == 16 + 32 + 10 + 10
    assert end_points["Mixed_3c"].shape[-1] == 480 // 4


@pytest.mark.parametrize("num_classes", [0, None])
def test_no_classes_returns_features(num_classes):
    features, end_points, store = built(
        lambda x: s3dg.s3dg(x, num_classes, final_endpoint="Mixed_3b"), None, 8, 56, 64, 3
    )
    assert features.shape.as_list() == [None, 1, 2, 256]
    assert list(end_points) == LAYERS[: LAYERS.index("Mixed_3b") + 1]
    assert not [name for name in store.records if "Logits" in name]


def logits(maps, **kwargs):
    end_points = {}
    with slim.arg_scope([slim.dropout], is_training=False):
        options = {"spatial_squeeze": True, **kwargs}
        net = i3d_utils.video_logits(maps, end_points, 9, 0.8, slim.softmax, **options)
    return net, end_points


@pytest.mark.parametrize(
    "maps", [(2, 8, 7, 7, 5), (2, 1, 7, 7, 5), (2, 3, 2, 3, 5), (None, None, None, None, 5)]
)
def test_small_and_unknown_maps_result_in_one_vector_of_logits(maps):
    net, end_points, _ = built(logits, *maps)
    assert net.shape.as_list() == [maps[0], 9]
    assert end_points["Logits"] is net


def test_larger_maps_result_in_a_map_of_logits():
    net, end_points, _ = built(lambda x: logits(x, spatial_squeeze=False), 2, 3, 8, 10, 5)
    assert net.shape == [2, 2, 4, 9]
    assert end_points["Predictions"].shape == net.shape
    with pytest.raises(ValueError, match="2 x 4 logits each, which spatial_squeeze=True"):
        built(logits, 2, 3, 8, 10, 5)


def test_logits_are_averaged_over_time():
    maps, store = values(2, 4, 7, 7, 5), slim.VariableStore(seed=0)
    with store.as_default(), slim.arg_scope(s3dg.s3dg_arg_scope()):
        net, _ = logits(maps)
    weights, biases = (v.numpy() for v in store.named_variables.values())
    pairs = (maps[:, :-1] + maps[:, 1:]).mean((2, 3)) / 2
    np.testing.assert_allclose(net, (pairs @ weights[0, 0, 0] + biases).mean(1), atol=1e-5)


def test_i3d_with_separable_convolutions():
    scope = i3d.i3d_arg_scope(separable_conv3d=True)
    *_, store = built(lambda x: i3d.i3d_base(x, "Mixed_3b"), 1, 8, 64, 64, 3, arg_scope=scope)
    temporal = [name for name in store.records if name.endswith("temporal/weights")]
    assert temporal == [
        "InceptionV1/Conv2d_2c_3x3/temporal/weights",
        "InceptionV1/Mixed_3b/Branch_1/Conv2d_0b_3x3/temporal/weights",
        "InceptionV1/Mixed_3b/Branch_2/Conv2d_0b_3x3/temporal/weights",
    ]


def test_channels_second_computes_the_same():
    videos, store = values(2, 4, 32, 48, 3), slim.VariableStore(seed=0)

    def run(inputs, data_format):
        with store.as_default(), slim.arg_scope(s3dg.s3dg_arg_scope()):
            return s3dg.s3dg(
                inputs, 5, depth_multiplier=0.05, min_depth=3, is_training=False,
                data_format=data_format, final_endpoint="Mixed_4b",
            )  # fmt: skip

    last, end_points = run(videos, "NDHWC")
    second, end_points_second = run(videos.transpose(0, 4, 1, 2, 3), "NCDHW")
    np.testing.assert_allclose(last, second, atol=1e-6)
    for name in LAYERS[: len(end_points_second) - 2]:
        expected = np.transpose(end_points[name], (0, 4, 1, 2, 3))
        np.testing.assert_allclose(end_points_second[name], expected, atol=1e-5)


def test_self_gating_scales_each_channel_by_a_function_of_the_means():
    videos, store = values(2, 3, 4, 6, 5), slim.VariableStore(seed=0)
    with store.as_default():
        gated = s3dg.self_gating(videos, "layer")
    (name,) = store.records
    assert name == "layer/self_gating/transformer_W/weights"
    weights = store.named_variables[name].numpy()[0, 0, 0]
    scale = 1 / (1 + np.exp(-videos.mean((1, 2, 3)) @ weights))
    np.testing.assert_allclose(gated, videos * scale[:, None, None, None], rtol=1e-5)


@pytest.mark.parametrize("stride", [1, 2, [2, 1, 1]])
def test_separable_convolution_is_one_over_space_and_one_over_time(stride):
    videos, store = values(1, 5, 6, 8, 3), slim.VariableStore(seed=0)

    def layer():
        with store.as_default():
            return i3d_utils.conv3d_spatiotemporal(
                videos, 4, [3, 3, 3], stride, activation_fn=tf.nn.relu, separable=True, scope="c"
            )

    layer()
    assert list(store.records) == [
        "c/weights",
        "c/biases",
        "c/temporal/weights",
        "c/temporal/biases",
    ]
    for seed, variable in enumerate(store.named_variables.values()):
        variable.assign(values(*variable.shape, seed=seed))
    space, space_bias, time, time_bias = store.named_variables.values()
    steps = [stride] * 3 if isinstance(stride, int) else stride
    net = tf.nn.relu(tf.nn.conv3d(videos, space, [1, 1, *steps[1:], 1], "SAME") + space_bias)
    net = tf.nn.relu(tf.nn.conv3d(net, time, [1, steps[0], 1, 1, 1], "SAME") + time_bias)
    np.testing.assert_allclose(layer(), net, rtol=1e-4, atol=1e-4)


def test_center_initializer_is_the_identity_over_time():
    kernel = i3d_utils.center_initializer()((3, 1, 1, 4, 4))
    videos = values(1, 5, 2, 2, 4)
    same = tf.nn.conv3d(videos, kernel, [1] * 5, "SAME")
    np.testing.assert_allclose(same, videos, rtol=1e-6)
    for shape in [(3, 3, 4, 4), (2, 1, 1, 4, 4), (3, 1, 3, 4, 4), (3, 1, 1, 4, 5)]:
        with pytest.raises(
            ValueError, match="the identity over time needs an odd number of frames"
        ):
            i3d_utils.center_initializer()(shape)


@pytest.mark.parametrize(
    "network",
    [
        functools.partial(s3dg.s3dg, final_endpoint="Conv2d_2c_3x3"),
        pytest.param(i3d.i3d, marks=pytest.mark.slow),
    ],
    ids=["s3dg", "i3d"],
)
def test_second_call_with_reuse_shares_the_variables(network):
    variables = []

    def twice(videos):
        outputs = network(videos, 9, spatial_squeeze=False)
        variables.extend(slim.current_store().records)
        network(videos, 9, spatial_squeeze=False, reuse=True)
        with pytest.raises(ValueError, match="reuse"):
            network(videos, 9, spatial_squeeze=False)
        return outputs

    *_, store = built(twice, 1, 8, 64, 64, 3)
    assert list(store.records) == variables
