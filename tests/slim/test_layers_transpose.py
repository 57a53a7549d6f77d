"""A transposed convolution T is the adjoint of the convolution C: <T(x), y> = <x, C(y)>."""

import numpy as np
import pytest
import tensorflow as tf

import slim
from tests.slim import windows

SIZES = {2: [4, 3], 3: [2, 3, 2]}
FIRST = {2: "NCHW", 3: "NCDHW"}
LAYERS = {2: slim.conv2d_transpose, 3: slim.conv3d_transpose}
RANDOM = np.random.default_rng(0)


def inputs(dims):
    return RANDOM.normal(size=[2, *SIZES[dims], 3]).astype(np.float32)


@pytest.mark.parametrize(
    "dims, kernel, stride",
    [(2, 3, 1), (2, 3, 2), (2, 2, 2), (2, 1, 3), (2, (4, 2), (2, 3)), (3, 3, 2), (3, (1, 2, 3), 1)],
)
@pytest.mark.parametrize("padding", ["SAME", "VALID"])
def test_transposed_convolution_is_the_adjoint_of_the_convolution(dims, kernel, stride, padding):
    x = inputs(dims)
    kernels, strides = (tuple(np.broadcast_to(v, [dims])) for v in (kernel, stride))
    outputs = LAYERS[dims](
        x, 5, kernel, stride, padding, activation_fn=None, biases_initializer=None, scope="t"
    )
    weights = slim.get_unique_variable("t/weights").numpy()
    assert weights.shape == (*kernels, 5, 3)
    grown = [
        size * s + (max(k - s, 0) if padding == "VALID" else 0)
        for size, k, s in zip(SIZES[dims], kernels, strides, strict=True)
    ]
    assert outputs.shape == (2, *grown, 5)
    for _ in range(3):
        y = RANDOM.normal(size=outputs.shape)
        # C maps 5 channels to 3: the weights are C's, [*kernel, in, out].
        convolved = windows.convolve(y, weights, strides, [1] * dims, padding)
        assert convolved.shape == x.shape
        np.testing.assert_allclose(np.sum(outputs * y), np.sum(x * convolved), rtol=1e-3, atol=1e-3)
    first = LAYERS[dims](
        np.moveaxis(x, -1, 1), 5, kernel, stride, padding, FIRST[dims], activation_fn=None,
        biases_initializer=None, scope="t", reuse=True,
    )  # fmt: skip
    np.testing.assert_allclose(first, np.moveaxis(outputs, -1, 1), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("dims", [2, 3])
def test_variable_names_normalizer_and_activation(dims):
    x = inputs(dims)
    outputs = LAYERS[dims](x, 4, 3, 2, biases_initializer=slim.constant_initializer(0.5))
    assert np.min(outputs) == 0.0
    name = f"Conv{dims}d_transpose"
    assert list(slim.current_store().named_variables) == [f"{name}/weights", f"{name}/biases"]
    linear = LAYERS[dims](x, 4, 3, 2, activation_fn=None, scope=name, reuse=True)
    np.testing.assert_allclose(outputs, np.maximum(linear, 0))
    plain = LAYERS[dims](
        x, 4, 3, 2, activation_fn=None, biases_initializer=None, scope=name, reuse=True
    )
    np.testing.assert_allclose(linear, plain + 0.5, rtol=1e-5, atol=1e-6)
    LAYERS[dims](x, 4, 3, normalizer_fn=slim.batch_norm, scope="bn")
    assert [v.name for v in slim.get_variables("bn")][:2] == ["bn/weights:0", "bn/BatchNorm/beta:0"]


def test_unknown_sizes_are_computed_at_run_time():
    store = slim.VariableStore()

    @tf.function(input_signature=[tf.TensorSpec([None, 3, None, 5])])
    def enlarge(x):
        with store.as_default():
            outputs = slim.conv2d_transpose(x, 4, 3, 2, "VALID", data_format="NCHW")
        assert outputs.shape.as_list()[1] == 4
        return outputs

    assert enlarge(tf.ones([2, 3, 6, 5])).shape == (2, 4, 13, 11)
    assert enlarge(tf.ones([1, 3, 1, 5])).shape == (1, 4, 3, 11)


def test_invalid_arguments_are_errors():
    with pytest.raises(ValueError, match="Conv2d_transpose expects input with rank 4, got 5"):
        slim.conv2d_transpose(inputs(3), 4, 3)
    with pytest.raises(ValueError, match="Conv3d_transpose expects input with rank 5, got 4"):
        slim.conv3d_transpose(inputs(2), 4, 3)
    with pytest.raises(ValueError, match="data_format has to be either NCDHW or NDHWC, not 'NHWC'"):
        slim.conv3d_transpose(inputs(3), 4, 3, data_format="NHWC")
