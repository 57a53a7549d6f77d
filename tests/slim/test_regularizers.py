import numpy as np
import pytest
import tensorflow as tf

import slim

WEIGHTS = np.array([[1.0, -2.0], [3.0, 0.5]], np.float32)
L1, L2 = np.abs(WEIGHTS).sum(), (WEIGHTS**2).sum() / 2


def test_l1_l2_and_l1_l2_equal_numpy():
    np.testing.assert_allclose(slim.l1_regularizer(0.5)(WEIGHTS), 0.5 * L1)
    np.testing.assert_allclose(slim.l2_regularizer(0.1)(WEIGHTS), 0.1 * L2, rtol=1e-6)
    np.testing.assert_allclose(slim.l1_l2_regularizer(0.5, 0.1)(WEIGHTS), 0.5 * L1 + 0.1 * L2)
    np.testing.assert_allclose(slim.l1_l2_regularizer()(WEIGHTS), L1 + L2)
    keras = tf.keras.regularizers.L1L2(0.5, 0.05)  # its L2 has no factor of 1/2
    np.testing.assert_allclose(slim.l1_l2_regularizer(0.5, 0.1)(WEIGHTS), keras(WEIGHTS))


def test_scale_of_zero_returns_no_penalty():
    assert slim.l1_regularizer(0.0) is None
    assert slim.l2_regularizer(0) is None
    assert slim.l1_l2_regularizer(0.0, 0.0) is None
    assert slim.sum_regularizer([]) is None
    assert slim.sum_regularizer([None, None]) is None
    np.testing.assert_allclose(slim.l1_l2_regularizer(0.0, 0.1)(WEIGHTS), 0.1 * L2, rtol=1e-6)


def test_sum_regularizer_adds_all_penalties():
    total = slim.sum_regularizer([slim.l1_regularizer(1.0), None, slim.l2_regularizer(2.0)])
    np.testing.assert_allclose(total(WEIGHTS), L1 + 2 * L2)
    from_generator = slim.sum_regularizer(slim.l1_regularizer(s) for s in (1.0, 2.0))
    np.testing.assert_allclose([from_generator(WEIGHTS)] * 2, [3 * L1] * 2)
    np.testing.assert_allclose(from_generator(WEIGHTS), 3 * L1)


def test_numpy_scales_are_accepted():
    np.testing.assert_allclose(slim.l2_regularizer(np.float32(0.5))(WEIGHTS), 0.5 * L2)


@pytest.mark.parametrize("make", [slim.l1_regularizer, slim.l2_regularizer, slim.l1_l2_regularizer])
def test_invalid_scales_are_errors(make):
    for bad in ("0.1", None, True, [0.1]):
        with pytest.raises(ValueError, match=r"scale=.* must be a number"):
            make(bad)
    for bad in (-1e-4, float("nan")):
        with pytest.raises(ValueError, match=f"scale={bad} must not be negative"):
            make(bad)


def test_apply_regularization_sums_over_the_weights():
    total = slim.apply_regularization(slim.l2_regularizer(0.1), [WEIGHTS, 2 * WEIGHTS])
    np.testing.assert_allclose(total, 0.1 * L2 * 5, rtol=1e-6)
    with pytest.raises(ValueError, match="weights_list is empty. Pass the variables"):
        slim.apply_regularization(slim.l2_regularizer(0.1), [])


def test_penalty_has_a_gradient():
    weights = tf.Variable(WEIGHTS)
    with tf.GradientTape() as tape:
        penalty = slim.l2_regularizer(0.25)(weights)
    np.testing.assert_allclose(tape.gradient(penalty, weights), 0.25 * WEIGHTS)
