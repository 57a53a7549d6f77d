import numpy as np
import pytest
import tensorflow as tf

import slim

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=[2, 3, 4, 6]).astype(np.float32)


@pytest.mark.parametrize("shape", [[2], [2, 3], [2, 3, 4], [2, 3, 4, 5], [0, 3, 4]])
def test_flatten_equals_numpy(shape):
    x = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    expected = x.reshape([shape[0], int(np.prod(shape[1:]))])
    np.testing.assert_array_equal(slim.flatten(x), expected)


@pytest.mark.parametrize(
    "known, static",
    [
        ([None, 3, 4], [None, 12]),
        ([2, None, 4], [2, None]),
        ([None, None, 4], [None, None]),
        ([None], [None, 1]),
    ],
)
def test_flatten_keeps_known_sizes(known, static):
    flatten = tf.function(slim.flatten).get_concrete_function(tf.TensorSpec(known))
    assert flatten.output_shapes.as_list() == static
    x = tf.random.uniform([2, 3, 4][: len(known)])
    np.testing.assert_array_equal(flatten(x), np.reshape(x, [2, -1]))


def test_flatten_of_a_scalar_is_an_error():
    with pytest.raises(ValueError, match=r"inputs have shape \(\), but flatten needs a batch axis"):
        slim.flatten(tf.constant(1.0))
    with pytest.raises(ValueError, match="shape <unknown>, but flatten needs a batch axis"):
        tf.function(slim.flatten).get_concrete_function(tf.TensorSpec(None))


@pytest.mark.parametrize("shape", [[5], [2, 5], [2, 3, 5], [2, 3, 4, 5]])
def test_softmax_equals_numpy(shape):
    x = RANDOM.normal(size=shape).astype(np.float32)
    expected = np.exp(x) / np.exp(x).sum(-1, keepdims=True)
    np.testing.assert_allclose(slim.softmax(x), expected, rtol=1e-5)


def test_softmax_keeps_the_static_shape():
    softmax = tf.function(slim.softmax).get_concrete_function(tf.TensorSpec([None, 7, 3]))
    assert softmax.output_shapes.as_list() == [None, 7, 3]
    with pytest.raises(
        ValueError, match="have an undefined channels dimension: axis -1 must have a known size"
    ):
        tf.function(slim.softmax).get_concrete_function(tf.TensorSpec([2, None]))


@pytest.mark.parametrize("dtype", [np.int32, np.int64, np.uint8])
def test_one_hot_encoding_equals_numpy(dtype):
    labels = np.array([2, 0, 1], dtype)
    result = slim.one_hot_encoding(labels, 4)
    assert result.dtype == tf.float32
    np.testing.assert_array_equal(result, np.eye(4)[labels])


def test_one_hot_encoding_with_on_and_off_values():
    np.testing.assert_array_equal(
        slim.one_hot_encoding(np.array([1, 5, -1]), 2, on_value=3.0, off_value=-1.0),
        [[-1, 3], [-1, -1], [-1, -1]],
    )


@pytest.mark.parametrize("dim", [0, 1, 3])
def test_unit_norm_equals_numpy(dim):
    expected = X / np.sqrt((X**2).sum(dim, keepdims=True) + 1e-7)
    np.testing.assert_allclose(slim.unit_norm(X, dim), expected, rtol=1e-5)
    np.testing.assert_allclose(slim.unit_norm(X, dim, epsilon=1.0), X / np.sqrt(
        (X**2).sum(dim, keepdims=True) + 1.0), rtol=1e-5)  # fmt: skip
    assert not np.isnan(slim.unit_norm(0 * X, dim)).any()


@pytest.mark.parametrize("dim", [-1, 4])
def test_unit_norm_rejects_axes_out_of_range(dim):
    with pytest.raises(
        ValueError, match=rf"dim={dim} must be an axis of the inputs, .* \(2, 3, 4, 6"
    ):
        slim.unit_norm(X, dim)
    with pytest.raises(ValueError, match="which have shape <unknown>"):
        tf.function(lambda x: slim.unit_norm(x, 0)).get_concrete_function(tf.TensorSpec(None))


@pytest.mark.parametrize("axis, units", [(-1, 2), (3, 6), (2, 2), (1, 1), (-3, 3)])
def test_maxout_equals_numpy(axis, units):
    front = axis % 4
    shape = [*X.shape[:front], units, X.shape[front] // units, *X.shape[front + 1 :]]
    np.testing.assert_array_equal(slim.maxout(X, units, axis), X.reshape(shape).max(axis=front + 1))


def test_maxout_keeps_the_static_shape():
    maxout = tf.function(lambda x: slim.maxout(x, 2)).get_concrete_function(
        tf.TensorSpec([None, 3, 6])
    )
    assert maxout.output_shapes.as_list() == [None, 3, 2]


def test_maxout_rejects_units_that_do_not_divide_the_channels():
    for units in (0, 4, -1):
        with pytest.raises(
            ValueError, match=rf"number of features\(6\) is not a multiple of num_units\({units}\)"
        ):
            slim.maxout(X, units)
    for axis in (4, -5):
        with pytest.raises(
            ValueError, match=f"axis={axis} must be an axis of the inputs, which have r"
        ):
            slim.maxout(X, 2, axis)
    with pytest.raises(ValueError, match=r"shape \(\), but a rank of 1 or more is needed"):
        slim.maxout(tf.constant(1.0), 1)


def test_layers_without_variables_create_none_and_collect_their_outputs():
    slim.flatten(X, outputs_collections="ends", scope="flat")
    slim.one_hot_encoding(np.array([1]), 2, outputs_collections="ends")
    slim.flatten(X, outputs_collections="ends")
    slim.softmax(X[0, 0])
    assert not slim.current_store().named_variables
    ends = slim.convert_collection_to_dict("ends")
    assert {name: v.shape for name, v in ends.items()} == {
        "flat": (2, 72), "OneHotEncoding": (1, 2), "Flatten": (2, 72),
    }  # fmt: skip
