"""MobileNet v1: its rows, its strides, and its head for other image sizes."""

import inspect

import numpy as np
import pytest
import tensorflow as tf

import slim
from nets import mobilenet_v1
from slim._checks import UserError

K = (3, 3)
ROWS = (
    mobilenet_v1.Conv(K, 2, 16),
    mobilenet_v1.DepthSepConv(K, 1, 16),
    mobilenet_v1.DepthSepConv(K, 2, 32),
    mobilenet_v1.DepthSepConv(K, 2, 64),
)


def traced(fn, *shape):
    """Returns the outputs of `fn` for images of a shape, without computing them."""
    results = []
    store = slim.VariableStore(seed=0)
    store.build(lambda images: results.append(fn(images)), tf.TensorSpec(shape, tf.float32))
    return (*results[0], store)


def images(size=32):
    return tf.constant(np.random.RandomState(0).uniform(-1, 1, [1, size, size, 3]), tf.float32)


def test_rows_are_those_of_the_paper():
    rows = mobilenet_v1.MOBILENETV1_CONV_DEFS
    assert len(rows) == 14
    assert [row.depth for row in rows] == [
        32, 64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 512, 1024, 1024,
    ]  # fmt: skip
    assert [number for number, row in enumerate(rows) if row.stride == 2] == [0, 2, 4, 6, 12]


@pytest.mark.parametrize("last", ["Conv2d_0", "Conv2d_2_depthwise", "Conv2d_3_pointwise", None])
def test_base_ends_at_the_final_endpoint(last):
    names = ["Conv2d_0"]
    names += [f"Conv2d_{i}_{part}" for i in (1, 2, 3) for part in ("depthwise", "pointwise")]
    net, end_points, _ = traced(
        lambda x: mobilenet_v1.mobilenet_v1_base(x, last, conv_defs=ROWS), 1, 32, 32, 3
    )
    assert list(end_points) == names[: names.index(last) + 1 if last else None]
    assert net is list(end_points.values())[-1]


def test_unknown_final_endpoint_is_an_error():
    with pytest.raises(UserError, match=r"final_endpoint='Conv2d_9' is not known; did you mean"):
        traced(
            lambda x: mobilenet_v1.mobilenet_v1_base(x, "Conv2d_9", conv_defs=ROWS), 1, 32, 32, 3
        )


@pytest.mark.parametrize("output_stride", [1, 2, 4])
def test_dilated_maps_contain_the_values_of_the_strided_ones(output_stride):
    store = slim.VariableStore(seed=0)

    def base(output_stride):
        scope = mobilenet_v1.mobilenet_v1_arg_scope(is_training=False)
        with store.as_default(), slim.arg_scope(scope):
            return mobilenet_v1.mobilenet_v1_base(
                images(),
                None,
                conv_defs=ROWS,
                output_stride=output_stride,
                use_explicit_padding=True,
            )[0].numpy()

    dense, strided, step = base(output_stride), base(None), 8 // output_stride
    assert dense.shape == (1, 32 // output_stride, 32 // output_stride, 64)
    np.testing.assert_allclose(dense[:, ::step, ::step], strided, rtol=1e-4, atol=1e-6)


def test_unreachable_output_stride_is_an_error():
    with pytest.raises(UserError, match=r"output_stride=3 is not known.*Known: 1, 2, 4, 8"):
        traced(
            lambda x: mobilenet_v1.mobilenet_v1_base(x, None, conv_defs=ROWS, output_stride=3),
            1, 32, 32, 3,
        )  # fmt: skip


def test_depth_multiplier_rounds_down_to_min_depth():
    _, end_points, _ = traced(
        lambda x: mobilenet_v1.mobilenet_v1_base(
            x, None, min_depth=10, depth_multiplier=0.36, conv_defs=ROWS
        ),
        1, 32, 32, 3,
    )  # fmt: skip
    depths = [v.shape[-1] for k, v in end_points.items() if "depthwise" not in k]
    assert depths == [10, 10, 11, 23]


def test_nonpositive_depth_multiplier_is_an_error():
    with pytest.raises(UserError, match="depth_multiplier=0 must be positive"):
        mobilenet_v1.mobilenet_v1_base(images(), depth_multiplier=0)


def test_row_of_another_kind_is_an_error():
    class Pool:
        stride = depth = 1
        kernel = K

    with pytest.raises(TypeError, match=r"conv_defs\[0\]=.* must be a Conv or a DepthSepConv"):
        mobilenet_v1.mobilenet_v1_base(images(), None, conv_defs=[Pool()])


@pytest.mark.parametrize("num_classes", [None, 0])
def test_no_classes_returns_features(num_classes):
    net, end_points, store = traced(
        lambda x: mobilenet_v1.mobilenet_v1(x, num_classes, conv_defs=ROWS), None, 40, 40, 3
    )
    assert net.shape.as_list() == [None, 1, 1, 64]
    assert list(end_points)[-1] == "AvgPool_1a"
    assert not any("Logits" in name for name in store.named_variables)


def test_larger_images_need_global_pool_or_maps_of_logits():
    def build(**kwargs):
        return traced(
            lambda x: mobilenet_v1.mobilenet_v1(x, 5, conv_defs=ROWS, **kwargs), 2, 80, 72, 3
        )

    with pytest.raises(UserError, match="have 2 x 2 logits each, which spatial_squeeze=True"):
        build()
    assert build(spatial_squeeze=False)[0].shape.as_list() == [2, 2, 2, 5]
    logits, end_points, _ = build(global_pool=True)
    assert logits.shape.as_list() == [2, 5]
    assert end_points["global_pool"].shape.as_list() == [2, 1, 1, 64]


def test_no_prediction_fn_adds_no_predictions():
    _, end_points, _ = traced(
        lambda x: mobilenet_v1.mobilenet_v1(x, 5, conv_defs=ROWS, prediction_fn=None), 1, 56, 56, 3
    )
    assert list(end_points)[-1] == "Logits"


@pytest.mark.parametrize("regularize_depthwise", [False, True])
def test_depthwise_weights_are_regularized_on_request(regularize_depthwise):
    def build(x):
        scope = mobilenet_v1.mobilenet_v1_arg_scope(regularize_depthwise=regularize_depthwise)
        with slim.arg_scope(scope):
            return mobilenet_v1.mobilenet_v1_base(x, None, conv_defs=ROWS)

    store = traced(build, 1, 32, 32, 3)[-1]
    regularized = {name for name, record in store.records.items() if record.regularizer}
    weights = {name for name in store.records if name.endswith("/weights")}
    depthwise = {name for name in store.records if name.endswith("/depthwise_weights")}
    assert len(depthwise) == 3
    assert regularized == (weights | depthwise if regularize_depthwise else weights)


def test_narrow_variants_bind_the_depth_multiplier():
    half = mobilenet_v1.mobilenet_v1_050
    assert inspect.signature(half).parameters["depth_multiplier"].default == 0.5
    assert half.__doc__ == mobilenet_v1.mobilenet_v1.__doc__
    assert half.default_image_size == 224
    _, end_points, _ = traced(
        lambda x: mobilenet_v1.mobilenet_v1_075(x, 5, conv_defs=ROWS), 1, 56, 56, 3
    )
    assert end_points["Conv2d_3_pointwise"].shape[-1] == 48
