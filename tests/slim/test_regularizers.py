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
    for regularizer in (
        slim.l1_regularizer(0.0),
        slim.l2_regularizer(0.0),
        slim.l1_l2_regularizer(0.0, 0.0),
        slim.sum_regularizer([slim.l1_regularizer(0.0)]),
    ):
        assert regularizer(WEIGHTS) is None
        with slim.VariableStore().as_default():
            slim.model_variable("weights", [2], regularizer=regularizer)
            assert slim.losses.get_regularization_losses() == []
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
    for bad in (0, 1, True, np.int64(2)):
        with pytest.raises(ValueError, match=f"scale cannot be an integer: .*. Write {float(bad)}"):
            make(bad)
    for bad in ("0.1", None, [0.1]):
        with pytest.raises(ValueError, match=r"scale=.* must be a number"):
            make(bad)
    for bad in (-1e-4, float("nan")):
        with pytest.raises(ValueError, match=f"scale={bad} must not be negative"):
            make(bad)


def test_apply_regularization_sums_over_the_weights():
    total = slim.apply_regularization(slim.l2_regularizer(0.1), [WEIGHTS, 2 * WEIGHTS])
    np.testing.assert_allclose(total, 0.1 * L2 * 5, rtol=1e-6)
    with pytest.raises(ValueError, match="No weights to regularize: weights_list is empty, and so"):
        slim.apply_regularization(slim.l2_regularizer(0.1), [])
    with pytest.raises(
        ValueError, match=r"must return a scalar, not shape \(2, 2\). Sum its result"
    ):
        slim.apply_regularization(tf.abs, [WEIGHTS])
    assert float(slim.apply_regularization(slim.l2_regularizer(0.0), [WEIGHTS])) == 0.0


def test_apply_regularization_is_part_of_the_total_loss(mode):
    def total():
        net = slim.conv2d(
            tf.ones([1, 4, 4, 2]), 3, 1, weights_initializer=slim.ones_initializer(),
            variables_collections={"weights": ["weights"]},
        )  # fmt: skip
        slim.fully_connected(net, 3)
        slim.apply_regularization(slim.l2_regularizer(0.5))
        return slim.losses.get_total_loss()

    assert mode.run(total) == [0.5 * 2 * 3 / 2]


def test_scopes_name_the_penalties():
    with tf.Graph().as_default():
        weights = tf.constant(WEIGHTS)
        assert slim.l2_regularizer(0.1)(weights).op.name == "l2_regularizer"
        assert slim.l1_regularizer(0.1, scope="s")(weights).op.name == "s"
        assert slim.l1_l2_regularizer(0.1, 0.0)(weights).op.name == "l1_l2_regularizer"
        assert (
            slim.sum_regularizer([slim.l1_regularizer(0.1)])(weights).op.name == "sum_regularizer"
        )


def test_scales_may_be_tensors():
    np.testing.assert_allclose(slim.l2_regularizer(tf.constant(0.5))(WEIGHTS), 0.5 * L2)


def test_penalty_has_a_gradient():
    weights = tf.Variable(WEIGHTS)
    with tf.GradientTape() as tape:
        penalty = slim.l2_regularizer(0.25)(weights)
    np.testing.assert_allclose(tape.gradient(penalty, weights), 0.25 * WEIGHTS)


def test_penalties_of_a_layer_and_of_its_scope_add_up(mode):
    def penalties():
        with slim.variable_scope("net", regularizer=slim.l1_regularizer(0.1)):
            slim.conv2d(
                tf.ones([1, 2, 2, 3]), 4, 1, weights_regularizer=slim.l2_regularizer(0.5),
                weights_initializer=slim.ones_initializer(),
                biases_initializer=slim.ones_initializer(),
            )  # fmt: skip
        return tf.add_n(slim.losses.get_regularization_losses())

    np.testing.assert_allclose(mode.run(penalties), [0.1 * 12 + 0.5 * 12 / 2 + 0.1 * 4])
