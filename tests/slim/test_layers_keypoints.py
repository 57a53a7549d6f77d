import numpy as np
import pytest
import tensorflow as tf

import slim
from tests.slim import modes

X = np.random.default_rng(0).normal(size=[2, 4, 5, 3])


def keypoints(x, temperature=1.0):
    """The definition, channels last."""
    weights = np.exp(x / temperature)
    weights /= weights.sum((1, 2), keepdims=True)
    row = (weights * np.linspace(-1, 1, x.shape[1])[:, None, None]).sum((1, 2))
    column = (weights * np.linspace(-1, 1, x.shape[2])[:, None]).sum((1, 2))
    return np.stack([row, column], -1).reshape(len(x), -1)


@pytest.mark.parametrize("mode", modes.MODES)
@pytest.mark.parametrize("dtype, rtol", [(np.float64, 1e-6), (np.float32, 1e-5)])
@pytest.mark.parametrize("data_format", ["NHWC", "NCHW"])
@pytest.mark.parametrize("temperature", [None, 0.25])
def test_spatial_softmax_equals_its_definition(mode, dtype, rtol, data_format, temperature):
    x = X.astype(dtype)
    result, variables = modes.run(
        mode,
        lambda t: slim.spatial_softmax(t, temperature, data_format=data_format),
        x if data_format == "NHWC" else np.moveaxis(x, -1, 1),
    )
    np.testing.assert_allclose(result, keypoints(X, temperature or 1.0), rtol, atol=1e-6)
    assert list(variables) == ["spatial_softmax/temperature"]
    assert variables["spatial_softmax/temperature"].dtype.base_dtype == tf.float32


@pytest.mark.parametrize("mode", modes.MODES)
def test_gradients_equal_differences(mode):
    def layer(features):
        return modes.gradients(slim.spatial_softmax, features, variables=True)

    (of_x, of_temperature), _ = modes.run(mode, layer, X)
    np.testing.assert_allclose(of_x, modes.numeric_gradient(keypoints, X), rtol=1e-4, atol=1e-8)
    slope = modes.numeric_gradient(lambda t: keypoints(X, t), np.array(1.0))
    np.testing.assert_allclose(of_temperature, slope, rtol=1e-5)


@pytest.mark.parametrize("mode", modes.MODES)
@pytest.mark.parametrize(
    "collections, trainable, count",
    [
        (["c"], True, 1),
        ({"temperature": ["c"]}, True, 1),
        ({"x": ["c"]}, True, 0),
        (["c"], False, 0),
    ],
)
def test_collections_are_those_of_a_trainable_temperature(mode, collections, trainable, count):
    counts = []

    def layer(features):
        slim.spatial_softmax(
            features, name="s", variables_collections=collections, trainable=trainable
        )
        named = [slim.get_variables(collection="c"), slim.get_model_variables()]
        counts[:] = [len(each) for each in [*named, slim.get_trainable_variables()]]
        return features

    modes.run(mode, layer, X)
    assert counts == [count, 1, int(trainable)]


@pytest.mark.parametrize(
    "shape, data_format, message",
    [
        ([2, 3, 4, 5], "CHWN", "data_format has to be either NCHW or NHWC. data_format='CHWN'"),
        ([2, 3, 4, None], "NHWC", "an undefined channels dimension"),
        ([2, 3, 4], "NHWC", "expects input with rank 4, got 3"),
    ],
)
def test_errors(shape, data_format, message):
    layer = tf.function(lambda x: slim.spatial_softmax(x, data_format=data_format))
    with pytest.raises(ValueError, match=message):
        layer.get_concrete_function(tf.TensorSpec(shape))
