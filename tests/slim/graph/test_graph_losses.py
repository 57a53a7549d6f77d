"""In a plain graph, slim's losses and TensorFlow 1's are in the same collections."""

import numpy as np
import pytest
import tensorflow as tf

import slim

v1 = tf.compat.v1
LOGITS = np.random.default_rng(0).normal(size=[4, 3]).astype(np.float32)
ONE_HOT = np.eye(3, dtype=np.float32)[[0, 2, 1, 1]]


@pytest.fixture(autouse=True)
def graph():
    with tf.Graph().as_default() as graph:
        yield graph


def value(tensor):
    with v1.Session() as session:
        session.run(v1.global_variables_initializer())
        return session.run(tensor)


def test_losses_of_both_libraries_are_in_both_totals():
    slim.losses.softmax_cross_entropy(tf.constant(LOGITS), ONE_HOT)
    v1.losses.mean_squared_error(ONE_HOT, LOGITS)
    net = slim.fully_connected(tf.constant(LOGITS), 2, weights_regularizer=slim.l2_regularizer(1.0))
    v1.losses.add_loss(tf.reduce_sum(net))
    totals = [slim.losses.get_total_loss(), v1.losses.get_total_loss()]
    parts = slim.losses.get_losses() + slim.losses.get_regularization_losses()
    assert len(parts) == 4
    *totals, summed = value([*totals, tf.add_n([tf.reshape(part, []) for part in parts])])
    np.testing.assert_allclose(totals, [summed] * 2, rtol=1e-6)


@pytest.mark.parametrize(
    "name, default",
    [
        ("softmax_cross_entropy", "softmax_cross_entropy_loss"),
        ("sigmoid_cross_entropy", "sigmoid_cross_entropy_loss"),
        ("mean_squared_error", "mean_squared_error"),
        ("absolute_difference", "absolute_difference"),
        ("log_loss", "log_loss"),
        ("mean_pairwise_squared_error", "mean_pairwise_squared_error"),
    ],
)
def test_the_ops_of_losses_have_tf_slims_names(name, default):
    loss = getattr(slim.losses, name)
    last = "value_2" if name == "mean_pairwise_squared_error" else "value"
    with tf.name_scope("tower"):
        assert loss(tf.constant(LOGITS), ONE_HOT).op.name == f"tower/{default}/{last}"
    assert loss(tf.constant(LOGITS), ONE_HOT, scope="own").op.name == f"own/{last}"
    assert [each.op.name for each in slim.losses.get_losses("own")] == [f"own/{last}"]


def test_weighted_losses_equal_their_formulas():
    functions = [
        slim.losses.softmax_cross_entropy,
        slim.losses.mean_squared_error,
        slim.losses.mean_pairwise_squared_error,
    ]
    weights = np.array([1.0, 0.0, 2.0, 0.5], np.float32)
    in_graph = value([f(tf.constant(LOGITS), ONE_HOT, weights) for f in functions])
    expected = [
        np.sum(weights * -np.log(np.exp(LOGITS) / np.exp(LOGITS).sum(1, keepdims=True))[
            ONE_HOT.astype(bool)]) / 3,
        np.sum(weights[:, np.newaxis] * (LOGITS - ONE_HOT) ** 2) / 9,
    ]  # fmt: skip
    np.testing.assert_allclose(in_graph[:2], expected, rtol=1e-5)
