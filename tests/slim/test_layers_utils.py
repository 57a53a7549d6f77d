import numpy as np
import pytest
import tensorflow as tf

from slim.layers import utils
from tests.slim import modes


@pytest.mark.parametrize("value", [True, 0, 1.5, "text"])
def test_constant_value_of_values_and_constants(value):
    assert utils.constant_value(value) == value
    for graph in [tf.Graph(), None]:
        if graph is None:
            constant = utils.constant_value(tf.constant(value))
        else:
            with graph.as_default():
                constant = utils.constant_value(tf.constant(value))
        assert constant == (value.encode() if isinstance(value, str) else value)


def test_constant_value_of_variables_and_inputs_is_none():
    assert utils.constant_value(tf.Variable(1.0), tf.float32) is None
    with tf.Graph().as_default():
        assert utils.constant_value(tf.compat.v1.placeholder(tf.bool, [])) is None


@pytest.mark.parametrize("mode", modes.MODES)
@pytest.mark.parametrize("pred", [True, False])
def test_smart_cond_chooses_constants_at_once_and_tensors_by_cond(mode, pred):
    calls = []

    def noted(name, value):
        calls.append(name)
        return tf.constant(value)

    def branches(condition):
        return utils.smart_cond(condition, lambda: noted("yes", 1), lambda: noted("no", 2), "c")

    result, _ = modes.run(mode, branches, pred)
    assert result == (1 if pred else 2)
    # An eager tensor is constant; a graph builds both branches.
    assert set(calls) == ({"yes" if pred else "no"} if mode == "eager" else {"yes", "no"})
    calls.clear()
    assert branches(pred) == result
    assert utils.static_cond(pred, lambda: 1, lambda: 2) == result
    assert len(calls) == 1


@pytest.mark.parametrize(
    "collections, expected", [(None, None), (["a"], ["a"]), ({"w": ["b"]}, ["b"]), ({}, None)]
)
def test_get_variable_collections(collections, expected):
    assert utils.get_variable_collections(collections, "w") == expected


def test_dimensions():
    shape = tf.TensorShape([None, 2, 3])
    assert utils.channel_dimension(shape, "channels_first") == 2
    assert utils.channel_dimension(shape, "channels_last", min_rank=3) == 3
    assert utils.last_dimension(shape, min_rank=2) == 3


@pytest.mark.parametrize(
    "value, expected",
    [(3, (3, 3)), ([1, 2], (1, 2)), ((1, "2"), (1, 2)), (tf.TensorShape([4, None]), (4, None))],
)
def test_two_element_tuple(value, expected):
    assert utils.two_element_tuple(value) == expected


@pytest.mark.parametrize(
    "n, value, expected",
    [(1, 2, (2,)), (2, "2", (2, 2)), (2, (2, np.int64(3)), (2, 3)),
     (3, tf.TensorShape([2, 3, 1]), (2, 3, 1)), (1, [4], (4,))],
)  # fmt: skip
def test_n_positive_integers(n, value, expected):
    assert utils.n_positive_integers(n, value) == expected


@pytest.mark.parametrize(
    "function, arguments, error, message",
    [
        (utils.constant_value, [None], ValueError, "value_or_tensor_or_var cannot be None"),
        (utils.constant_value, [tf.TensorSpec, tf.int32], ValueError, ""),
        (utils.static_cond, [True, 1, len], TypeError, "fn1 must be callable, but it is 1"),
        (utils.smart_cond, [True, len, 2], TypeError, "fn2 must be callable, but it is 2"),
        (utils.last_dimension, [tf.TensorShape(None)], ValueError, "dims of shape must be known"),
        (utils.last_dimension, [[2, None]], ValueError, "dimension -1 of shape must be known"),
        (utils.last_dimension, [[2], 2], ValueError, "rank of shape must be at least 2 not: 1"),
        (utils.two_element_tuple, [[1, 2, 3]], ValueError, "must be an integer, a list of 2"),
        (utils.two_element_tuple, [1.5], ValueError, "must be an integer, a list of 2"),
        (utils.n_positive_integers, [0, [1]], ValueError, "n=0 must be a positive integer"),
        (utils.n_positive_integers, ["3", 1], ValueError, "n='3' must be a positive integer"),
        *(
            (utils.n_positive_integers, [n, value], ValueError, f"expected {n} positive integers")
            for n, value in [
                (1, [1, 2]), (1, -1), (1, [0]), (2, ["hello", 2]), (2, [1]),
                (3, tf.TensorShape([2, None, 1])), (3, tf.TensorShape(None)),
            ]
        ),
    ],
)  # fmt: skip
def test_errors(function, arguments, error, message):
    if arguments == [tf.TensorSpec, tf.int32]:
        arguments, message = [tf.constant(1.0), tf.int32], "the tensor has the type float32, not"
    with pytest.raises(error, match=message):
        function(*arguments)
