import numpy as np
import pytest
import tensorflow as tf

import slim
from tests.slim import windows

X = np.random.default_rng(0).normal(size=[2, 7, 6, 3]).astype(np.float32)
FIRST = np.moveaxis(X, -1, 1)
SOME = slim.random_normal_initializer()
CASES = [
    (kernel, stride, rate, padding)
    for kernel in (3, (2, 3))
    for stride, rate in ((1, 1), (2, 1), (1, 2), (1, (1, 2)))
    for padding in ("SAME", "VALID")
]


def variable(name):
    return slim.get_unique_variable(name).numpy()


def pairs(*values):
    return [tuple(np.broadcast_to(v, [2])) for v in values]


@pytest.mark.parametrize("kernel, stride, rate, padding", CASES)
@pytest.mark.parametrize("num_outputs, multiplier", [(5, 1), (4, 2), (None, 1), (None, 2)])
def test_separable_convolutions_equal_numpy(num_outputs, multiplier, kernel, stride, rate, padding):
    outputs = slim.separable_conv2d(
        X, num_outputs, kernel, multiplier, stride, padding, rate=rate, activation_fn=None,
        biases_initializer=SOME, scope="sep",
    )  # fmt: skip
    depthwise = variable("sep/depthwise_weights")
    assert depthwise.shape == (*pairs(kernel)[0], 3, multiplier)
    expected = windows.convolve_depthwise(X, depthwise, *pairs(stride, rate), padding)
    if num_outputs is not None:
        pointwise = variable("sep/pointwise_weights")
        assert pointwise.shape == (1, 1, 3 * multiplier, num_outputs)
        expected = expected @ pointwise[0, 0]
    expected = expected + variable("sep/biases")
    np.testing.assert_allclose(outputs, expected, rtol=1e-3, atol=1e-4)
    first = slim.separable_conv2d(
        FIRST, num_outputs, kernel, multiplier, stride, padding, "NCHW", rate, None, scope="sep",
        reuse=True,
    )  # fmt: skip
    np.testing.assert_allclose(first, np.moveaxis(expected, -1, 1), rtol=1e-3, atol=1e-4)


def test_separable_variables_have_tf_slims_names():
    slim.separable_conv2d(X, 4, 3)
    slim.separable_conv2d(X, None, 3, normalizer_fn=slim.batch_norm)
    assert list(slim.current_store().named_variables) == [
        "SeparableConv2d/depthwise_weights",
        "SeparableConv2d/pointwise_weights",
        "SeparableConv2d/biases",
        "SeparableConv2d_1/depthwise_weights",
        "SeparableConv2d_1/BatchNorm/beta",
        "SeparableConv2d_1/BatchNorm/moving_mean",
        "SeparableConv2d_1/BatchNorm/moving_variance",
    ]


def test_initializers_and_regularizers_reach_both_weights():
    ones, twos = slim.ones_initializer(), slim.constant_initializer(2.0)
    with slim.VariableStore().as_default():
        slim.separable_conv2d(
            X,
            4,
            3,
            weights_initializer=ones,
            weights_regularizer=slim.l1_regularizer(1.0),
            scope="a",
        )
        slim.separable_conv2d(
            X,
            4,
            3,
            weights_initializer=ones,
            pointwise_initializer=twos,
            trainable=False,
            scope="b",
        )
        assert [float(p) for p in slim.losses.get_regularization_losses()] == [27.0, 12.0]
        assert variable("a/pointwise_weights").max() == variable("b/depthwise_weights").max() == 1.0
        assert variable("b/pointwise_weights").min() == 2.0
        assert not slim.get_trainable_variables("b/")


def test_unequal_strides_are_errors():
    with pytest.raises(
        ValueError, match=r"stride=\(1, 2\) must be the same in both directions for a"
    ):
        slim.separable_conv2d(X, 4, 3, stride=(1, 2))


@pytest.mark.parametrize("kernel, stride", [(3, 1), ((2, 3), 2), (1, (2, 1)), ((3, 1), (1, 3))])
@pytest.mark.parametrize("padding", ["SAME", "VALID"])
def test_in_plane_convolutions_equal_numpy(kernel, stride, padding):
    outputs = slim.conv2d_in_plane(
        X, kernel, stride, padding, biases_initializer=SOME, activation_fn=tf.nn.tanh
    )
    weights = variable("ConvInPlane/weights")
    assert weights.shape == (*pairs(kernel)[0], 1, 1)
    each = np.tile(weights, [1, 1, 3, 1])
    expected = windows.convolve_depthwise(X, each, *pairs(stride, 1), padding)
    expected = np.tanh(expected + variable("ConvInPlane/biases"))
    np.testing.assert_allclose(outputs, expected, rtol=1e-3, atol=1e-4)


def test_in_plane_filter_computes_image_gradients():
    kernel = np.array([-1.0, 1.0], np.float32).reshape([1, 2, 1, 1])
    outputs = slim.conv2d_in_plane(
        X, [1, 2], padding="VALID", weights_initializer=kernel, activation_fn=None
    )
    np.testing.assert_allclose(outputs, np.diff(X, axis=2), rtol=1e-5, atol=1e-6)


def test_in_plane_convolution_keeps_known_sizes():
    shapes = []

    def net(x):
        shapes.append(slim.conv2d_in_plane(x, 3).shape.as_list())

    slim.VariableStore().build(net, tf.TensorSpec([None, None, None, 3]))
    slim.VariableStore().build(net, tf.TensorSpec([2, 7, 6, 3]))
    assert shapes[0] == [None, None, None, 3]
    assert shapes[1][0::3] == [2, 3]


def test_inputs_of_another_rank_are_errors():
    for layer in (slim.separable_conv2d, slim.conv2d_in_plane):
        with pytest.raises(ValueError, match="expects input with rank 4, got 3"):
            layer(
                tf.ones([2, 3, 3]), 4, kernel_size=3
            ) if layer is slim.separable_conv2d else layer(tf.ones([2, 3, 3]), 3)
