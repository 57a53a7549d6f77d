import numpy as np
import pytest
import tensorflow as tf

import slim
from tests.slim import modes

X = np.random.default_rng(0).normal(size=[4, 3, 2])


@pytest.mark.parametrize("mode", modes.MODES)
@pytest.mark.parametrize("multiplier", [2.5, np.array([[1.0, -2.0]])])
def test_scale_gradient_changes_the_gradient_alone(mode, multiplier):
    def layer(x):
        y = slim.scale_gradient(x, multiplier)
        return y, modes.gradients(lambda t: slim.scale_gradient(t, multiplier) ** 2, x)[0]

    (y, gradient), _ = modes.run(mode, layer, X)
    np.testing.assert_array_equal(y, X)
    np.testing.assert_allclose(gradient, 2 * X * multiplier)


def projected(x, axis, epsilon):
    norm = np.sqrt((x**2).sum(axis, keepdims=True))
    return np.where(norm > 1 - epsilon, x / norm * (1 - epsilon), x)


@pytest.mark.parametrize("mode", modes.MODES)
@pytest.mark.parametrize("axis, epsilon", [(0, 1e-5), (1, 0.1), ((1, 2), 1e-5), (-1, 0.3)])
def test_poincare_normalize_equals_numpy(mode, axis, epsilon):
    def layer(x):
        normalize = slim.layers.poincare_normalize
        gradient = modes.gradients(lambda t: normalize(t, axis, epsilon), x)[0]
        return normalize(x, axis, epsilon), gradient

    (y, gradient), _ = modes.run(mode, layer, X)
    np.testing.assert_allclose(y, projected(X, axis, epsilon))
    slope = modes.numeric_gradient(lambda x: projected(x, axis, epsilon), X)
    np.testing.assert_allclose(gradient, slope, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("mode", modes.MODES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int32, np.int64])
def test_bucketize_equals_numpy(mode, dtype):
    x = np.array([[-5, 0, 3], [150, 10, 100]], dtype)
    result, _ = modes.run(mode, lambda t: slim.bucketize(t, [0, 10, 100]), x)
    np.testing.assert_array_equal(result, np.digitize(x, [0, 10, 100]))
    assert result.dtype == np.int32


def test_bucketize_needs_a_list():
    with pytest.raises(TypeError, match="boundaries"):
        slim.bucketize(tf.constant([1.0]), 3.0)
