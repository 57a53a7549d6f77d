"""Layers in half precision on a CPU, which computes parts of them in float32."""

import numpy as np
import pytest
import tensorflow as tf

import slim
from slim.layers import _half_precision

HALF = [tf.bfloat16, tf.float16]


@pytest.fixture
def inputs():
    return np.random.RandomState(0).uniform(-2, 8, [2, 6, 6, 4]).astype(np.float32)


@pytest.mark.parametrize("dtype", HALF, ids=lambda dtype: dtype.name)
@pytest.mark.parametrize("num_outputs", [None, 5])
def test_a_separable_convolution_returns_its_inputs_dtype(inputs, dtype, num_outputs):
    results = []
    for kind in (tf.float32, dtype):
        store = slim.VariableStore(seed=0, keep_float32=True)
        with store.as_default():
            results.append(slim.separable_conv2d(tf.cast(inputs, kind), num_outputs, 3))
        assert results[-1].dtype == kind
        assert all(variable.dtype == tf.float32 for variable in store.named_variables.values())
    # bfloat16 has 8 significant bits.
    np.testing.assert_allclose(tf.cast(results[1], tf.float32), results[0], rtol=0.02, atol=0.06)


@pytest.mark.parametrize("dtype", HALF, ids=lambda dtype: dtype.name)
def test_a_convolution_in_plane_returns_its_inputs_dtype(inputs, dtype):
    results = []
    for kind in (tf.float32, dtype):
        with slim.VariableStore(seed=0, keep_float32=True).as_default():
            results.append(slim.conv2d_in_plane(tf.cast(inputs, kind), 3))
        assert results[-1].dtype == kind
    np.testing.assert_allclose(tf.cast(results[1], tf.float32), results[0], rtol=0.02, atol=0.06)


def test_only_the_depthwise_part_is_computed_in_float32(inputs):
    store = slim.VariableStore(seed=0, keep_float32=True)

    @tf.function
    def layer(inputs):
        with store.as_default():
            return slim.separable_conv2d(inputs, 5, 3)

    store.build(lambda x: slim.separable_conv2d(x, 5, 3), tf.TensorSpec([2, 6, 6, 4], tf.bfloat16))
    graph = layer.get_concrete_function(tf.TensorSpec([2, 6, 6, 4], tf.bfloat16)).graph
    dtypes = {op.type: op.get_attr("T") for op in graph.get_operations() if "Conv" in op.type}
    assert dtypes == {"DepthwiseConv2dNative": tf.float32, "Conv2D": tf.bfloat16}


@pytest.mark.parametrize("dtype", HALF, ids=lambda dtype: dtype.name)
def test_compiled_relu6_equals_tensorflows(inputs, dtype):
    x = tf.cast(inputs, dtype)
    values, gradients = [], []
    for function in (tf.nn.relu6, lambda x: _half_precision.activated(tf.nn.relu6, x)):
        with tf.GradientTape() as tape:
            tape.watch(x)
            values.append(function(x))
            gradients.append(tape.gradient(values[-1], x, output_gradients=x))
        assert values[-1].dtype == gradients[-1].dtype == dtype
    for first, second in (values, gradients):
        np.testing.assert_array_equal(tf.cast(first, tf.float32), tf.cast(second, tf.float32))


def test_relu6_and_the_cast_after_it_are_differentiated_in_the_inputs_dtype(inputs):
    x = tf.constant(inputs)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = _half_precision.activated(tf.nn.relu6, x, tf.bfloat16)
    gradient = tape.gradient(y, x)
    assert (y.dtype, gradient.dtype) == (tf.bfloat16, tf.float32)
    rounded = tf.cast(tf.cast(x, tf.bfloat16), tf.float32)
    np.testing.assert_array_equal(gradient, ((rounded > 0) & (rounded < 6)).numpy())


def test_float32_and_accelerators_keep_tensorflows_kernels(monkeypatch):
    assert not _half_precision.is_slow(tf.float32)
    assert _half_precision.is_slow(tf.bfloat16)
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [kind] * (kind == "GPU"))
    assert not _half_precision.is_slow(tf.bfloat16)


def test_a_depthwise_convolution_after_relu6_takes_its_float32_outputs(inputs):
    x = tf.cast(inputs, tf.bfloat16)

    def run(x):
        outputs = _half_precision.activated(tf.nn.relu6, x)
        return outputs, _half_precision.widened(outputs)

    compiled = tf.function(run, autograph=False)
    graph = compiled.get_concrete_function(x).graph
    assert not [op for op in graph.get_operations() if op.type == "Cast"]
    half, wide = compiled(x)
    assert (half.dtype, wide.dtype) == (tf.bfloat16, tf.float32)
    np.testing.assert_array_equal(tf.cast(half, tf.float32), wide)
    np.testing.assert_array_equal(run(x)[1], wide)
