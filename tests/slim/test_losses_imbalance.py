"""Focal and asymmetric losses equal their formulas, and stay finite."""

import numpy as np
import pytest
import scipy.special
import tensorflow as tf

from slim import losses

RANDOM = np.random.default_rng(5)
LOGITS = RANDOM.normal(0, 3, [7, 5]).astype(np.float32)
LABELS = (RANDOM.random([7, 5]) < 0.4).astype(np.float32)
FOCAL, ASYMMETRIC = losses.sigmoid_focal_cross_entropy, losses.sigmoid_asymmetric_cross_entropy


@pytest.mark.parametrize("gamma, alpha", [(2.0, None), (0.5, 0.25), (0.0, 0.9)])
def test_the_focal_loss_equals_keras(gamma, alpha):
    expected = tf.keras.losses.binary_focal_crossentropy(
        LABELS, LOGITS, apply_class_balancing=alpha is not None, alpha=alpha or 0.25, gamma=gamma,
        from_logits=True,
    )  # fmt: skip
    value = FOCAL(LOGITS, LABELS, gamma=gamma, alpha=alpha)
    np.testing.assert_allclose(value, np.mean(expected), rtol=1e-4)


@pytest.mark.parametrize("positive, negative, clip", [(0, 4, 0.05), (1, 2, 0), (0.5, 0.5, 0.3)])
def test_the_asymmetric_loss_equals_its_formula(positive, negative, clip):
    p = scipy.special.expit(LOGITS.astype(np.float64))
    shifted = np.maximum(p - clip, 0)
    own = (1 - p) ** positive * np.log(p)
    other = shifted**negative * np.log(1 - shifted)
    expected = -(LABELS * own + (1 - LABELS) * other).mean()
    value = ASYMMETRIC(LOGITS, LABELS, gamma_positive=positive, gamma_negative=negative, clip=clip)
    np.testing.assert_allclose(value, expected, rtol=1e-5)


@pytest.mark.parametrize("loss", [FOCAL, ASYMMETRIC])
def test_soft_labels_weights_and_smoothing_are_those_of_the_cross_entropy(loss):
    plain = {FOCAL: {"gamma": 0.0}, ASYMMETRIC: {"gamma_negative": 0.0, "clip": 0.0}}[loss]
    soft, weights = LABELS * 0.7 + 0.1, RANDOM.random([7, 1]).astype(np.float32)
    ours = loss(LOGITS, soft, weights, 0.2, **plain)
    expected = losses.sigmoid_cross_entropy(LOGITS, soft, weights, 0.2)
    np.testing.assert_allclose(ours, expected, rtol=1e-5)


@pytest.mark.parametrize("loss", [FOCAL, ASYMMETRIC])
@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_gradients_of_extreme_logits_are_finite(loss, gamma):
    name = "gamma" if loss is FOCAL else "gamma_negative"
    logits = tf.Variable([[-200.0, -30.0, 0.0, 30.0, 200.0]])
    for label in (0.0, 1.0):
        with tf.GradientTape() as tape:
            value = loss(logits, tf.fill([1, 5], label), **{name: gamma})
        assert np.isfinite(value)
        assert np.isfinite(tape.gradient(value, logits)).all()


@pytest.mark.parametrize(
    "loss, values, message",
    [
        (FOCAL, {"gamma": -1}, "gamma=-1 must not be negative"),
        (FOCAL, {"alpha": 2}, r"alpha=2 must lie in \[0, 1\]"),
        (ASYMMETRIC, {"clip": -0.1}, r"clip=-0.1 must lie in \[0, 1\]"),
        (ASYMMETRIC, {"label_smoothing": 3}, r"label_smoothing=3 must lie in \[0, 1\]"),
    ],
)
def test_numbers_out_of_range_are_errors(loss, values, message):
    with pytest.raises(ValueError, match=message):
        loss(LOGITS, LABELS, **values)


def test_other_shapes_are_an_error():
    with pytest.raises(ValueError, match="incompatible: they must be equal"):
        FOCAL(LOGITS, LABELS[:, :3])
