"""What differs between one class an image and several."""

import types

import numpy as np
import pytest
import scipy.special
import tensorflow as tf
from sklearn.metrics import f1_score

from classifier import label_kinds
from classifier.label_kinds import ONE_CLASS, SEVERAL_CLASSES, label_text

RANDOM = np.random.default_rng(3)
LOGITS = RANDOM.normal(0, 2, [40, 5]).astype(np.float32)
HOT = (RANDOM.random([40, 5]) < 0.4).astype(np.int64)
CLASSES = RANDOM.integers(0, 5, 40)
KINDS = pytest.mark.parametrize("kind, label", [(ONE_CLASS, CLASSES), (SEVERAL_CLASSES, HOT)])


def test_the_kind_is_that_of_the_model():
    for multi_label, kind in ((False, ONE_CLASS), (True, SEVERAL_CLASSES)):
        assert label_kinds.kind_of(types.SimpleNamespace(multi_label=multi_label)) is kind


@KINDS
def test_losses_equal_tensorflow_and_their_slope_is_the_derivative(kind, label):
    targets = kind.targets(tf.constant(label), 5)
    op = {ONE_CLASS: tf.nn.softmax_cross_entropy_with_logits,
          SEVERAL_CLASSES: tf.nn.sigmoid_cross_entropy_with_logits}[kind]  # fmt: skip
    inverse = tf.Variable(0.7)
    with tf.GradientTape() as tape:
        losses = kind.losses(inverse * LOGITS, tf.constant(label))
        total = tf.reduce_sum(losses)
    expected = tf.reshape(op(targets, inverse * LOGITS), [40, -1])
    np.testing.assert_allclose(losses, tf.reduce_sum(expected, axis=1), rtol=1e-5)
    slope = tf.reduce_sum(kind.loss_slope(tf.constant(LOGITS), tf.constant(label), inverse))
    np.testing.assert_allclose(slope, tape.gradient(total, inverse), rtol=1e-4)


@KINDS
def test_mean_logits_have_the_mean_probabilities(kind, label):
    views = [tf.constant(LOGITS), tf.constant(LOGITS[::-1] * 30)]
    expected = np.mean([kind.probabilities(each, {}).numpy() for each in views], axis=0)
    ours = kind.probabilities(kind.mean_logits(views), {})
    np.testing.assert_allclose(ours, expected, rtol=1e-4, atol=1e-7)


def test_several_probabilities_are_sigmoids_whatever_the_network_has():
    end_points = {"Predictions": tf.nn.softmax(LOGITS)}
    ours = SEVERAL_CLASSES.probabilities(tf.constant(LOGITS), end_points, 2.0)
    np.testing.assert_allclose(ours, scipy.special.expit(LOGITS / 2), rtol=1e-5)
    assert not SEVERAL_CLASSES.keeps("Predictions")
    assert ONE_CLASS.keeps("Predictions")
    np.testing.assert_allclose(
        label_kinds.logits_at(np.array([0.1, 0.5, 1.0]), 2.0), [2 * np.log(1 / 9), 0, np.inf]
    )


def test_training_logs_the_micro_f1_score_of_the_images_that_count():
    weight = np.arange(40) % 3 > 0
    ours = SEVERAL_CLASSES.training_metric(
        tf.constant(LOGITS), tf.constant(HOT), tf.constant(weight, tf.float32)
    )
    expected = f1_score(HOT[weight], LOGITS[weight] >= 0, average="micro")
    assert float(ours) == pytest.approx(expected, abs=1e-6)
    assert float(SEVERAL_CLASSES.training_metric(LOGITS[:0], HOT[:0], 1.0)) == 0


def test_labels_become_those_of_other_classes():
    indices = (2, -1, 0, 3, -1)
    labels, counts = ONE_CLASS.relabeled(tf.constant(CLASSES), indices, 4)
    assert counts.numpy().tolist() == [indices[each] >= 0 for each in CLASSES]
    assert labels.numpy().tolist() == [max(0, indices[each]) for each in CLASSES]
    labels, counts = SEVERAL_CLASSES.relabeled(tf.constant(HOT), indices, 4)
    assert counts.numpy().all()
    expected = np.stack([HOT[:, 2], np.zeros(40), HOT[:, 0], HOT[:, 3]], axis=1)
    np.testing.assert_array_equal(labels, expected)


def test_answers_their_scores_and_names():
    thresholds, names = np.array([0, 1, -1, 2, 0.5]), list("abcde")
    answers = SEVERAL_CLASSES.answers(LOGITS, thresholds)
    np.testing.assert_array_equal(answers, thresholds <= LOGITS)
    assert SEVERAL_CLASSES.score(answers, HOT) == pytest.approx(
        f1_score(HOT, answers, average="micro")
    )
    assert SEVERAL_CLASSES.score(answers[:0], HOT[:0]) == 1
    best = ONE_CLASS.answers(LOGITS, thresholds)
    assert ONE_CLASS.score(best, CLASSES) == np.mean(LOGITS.argmax(1) == CLASSES)
    shown = SEVERAL_CLASSES.names(tf.constant(LOGITS), thresholds, names).numpy()
    assert [[each.decode() for each in row if each] for row in shown] == [
        [names[i] for i in np.flatnonzero(row)] for row in answers
    ]
    assert ONE_CLASS.names(tf.constant(LOGITS), thresholds, names)[0].numpy().decode() == names[
        best[0]
    ]  # fmt: skip


@pytest.mark.parametrize(
    "label, text",
    [(1, "b"), (7, "7"), (np.array([1, 0, 1, 0]), "a;c"), (np.array([0, 1, 0, 1]), "b;3"),
     (np.zeros(4), "")],
)  # fmt: skip
def test_labels_as_text(label, text):
    assert label_text(label, ("a", "b", "c")) == text


def test_the_weights_of_the_classes_that_count():
    assert SEVERAL_CLASSES.num_losses(5, (1, 0, 2, 0, 1)) == 3
    assert SEVERAL_CLASSES.num_losses(5, ()) == ONE_CLASS.num_losses(5, (1, 0, 2, 0, 1)) == 5
    weights = tf.constant([1.0, 2, 3, 4, 5])
    assert ONE_CLASS.class_factors(weights, tf.constant([4, 0])).numpy().tolist() == [5, 1]
    factors = SEVERAL_CLASSES.class_factors(weights, tf.constant(HOT[:2]))
    assert factors.numpy().tolist() == [[1, 2, 3, 4, 5]] * 2
