"""Metrics over many batches equal NumPy and Keras; ties, masks and padded rows."""

import math

import numpy as np
import pytest
import tensorflow as tf

from slim import _checks, metrics

RANDOM = np.random.RandomState(0)
SIZES = (7, 1, 16, 5)


def batches(classes=6):
    """Yields scores, labels and 0-1 weights of batches of several sizes."""
    random = np.random.RandomState(1)
    for size in SIZES:
        scores = random.standard_normal([size, classes]).astype(np.float32)
        yield (
            scores,
            random.randint(0, classes, size),
            random.randint(0, 2, size).astype(np.float32),
        )


def joined():
    return [np.concatenate(parts) for parts in zip(*batches(), strict=True)]


def test_accuracy_equals_keras():
    ours, oracle = metrics.Accuracy(), tf.keras.metrics.Accuracy()
    for scores, labels, weights in batches():
        ours.update(scores.argmax(-1), tf.constant(labels), weights)
        oracle.update_state(labels, scores.argmax(-1), weights)
    assert ours.result() == pytest.approx(float(oracle.result()), rel=1e-6)
    assert ours.count == joined()[2].sum()


@pytest.mark.parametrize("k", [1, 2, 5, 6, 9])
def test_recall_at_k_equals_numpy(k):
    ours = metrics.RecallAtK(k)
    for scores, labels, weights in batches():
        ours.update(tf.constant(scores), tf.constant(labels), weights)
    scores, labels, weights = joined()
    best = np.argsort(-scores, axis=-1, kind="stable")[:, :k]
    hits = (best == labels[:, None]).any(-1)
    assert ours.result() == pytest.approx((hits * weights).sum() / weights.sum(), rel=1e-6)


def test_recall_at_1_is_accuracy():
    recall, accuracy = metrics.RecallAtK(1), metrics.Accuracy()
    for scores, labels, weights in batches():
        recall.update(tf.constant(scores), labels, weights)
        accuracy.update(scores.argmax(-1), labels, weights)
    assert recall.result() == accuracy.result()


def test_ties_go_to_the_lower_class():
    scores = tf.zeros([4, 4])
    labels = tf.constant([0, 1, 2, 3])
    assert metrics.in_top_k(scores, labels, 1).numpy().tolist() == [True, False, False, False]
    assert metrics.in_top_k(scores, labels, 2).numpy().tolist() == [True, True, False, False]
    # TensorFlow counts all tied classes.
    assert tf.math.in_top_k(labels, scores, 1).numpy().all()


@pytest.mark.parametrize("filler", [np.nan, np.inf, -np.inf])
def test_rows_of_weight_zero_do_not_count_whatever_their_values(filler):
    mean, recall = metrics.Mean(), metrics.RecallAtK(2)
    mean.update(tf.constant([1.0, filler, 3.0]), tf.constant([1.0, 0.0, 1.0]))
    scores = tf.constant([[1.0, 2.0, 3.0], [filler] * 3])
    recall.update(scores, tf.constant([2, 0]), tf.constant([1, 0]))
    assert mean.result() == 2.0
    assert (recall.result(), recall.count) == (1.0, 1.0)


def test_mean_accepts_weights_that_broadcast():
    mean = metrics.Mean()
    values = RANDOM.standard_normal([4, 3]).astype(np.float32)
    weights = RANDOM.uniform(0, 2, [4, 1]).astype(np.float32)
    mean.update(values)
    mean.update(values, 0.5)
    mean.update(values, weights)
    total = np.concatenate(
        [np.ones([4, 3]), np.full([4, 3], 0.5), np.broadcast_to(weights, [4, 3])]
    )
    assert mean.result() == pytest.approx(
        np.average(np.tile(values, [3, 1]), weights=total), rel=1e-6
    )
    assert mean.count == pytest.approx(total.sum(), rel=1e-6)


def test_mean_of_many_values_does_not_lose_precision():
    mean = metrics.Mean()
    add = tf.function(lambda: mean.update(tf.fill([1000], 0.1)))
    mean.update(tf.constant([1e7]))
    for _ in range(100):
        add()
    assert mean.result() == pytest.approx((1e7 + 1e4) / 100_001, rel=1e-6)


def test_mean_without_values_is_nan():
    assert math.isnan(metrics.Mean().result())
    empty = metrics.Accuracy()
    empty.update(tf.constant([1]), tf.constant([1]), tf.constant([0.0]))
    assert math.isnan(empty.result())


def test_metrics_work_inside_a_function():
    metric = metrics.Accuracy()
    update = tf.function(metric.update, autograph=False)
    for scores, labels, _ in batches():
        update(tf.constant(scores.argmax(-1)), tf.constant(labels))
    scores, labels, _ = joined()
    assert metric.result() == pytest.approx((scores.argmax(-1) == labels).mean())


def test_confusion_matrix_and_recalls_equal_numpy():
    matrix = metrics.ConfusionMatrix(7)
    for scores, labels, weights in batches():
        matrix.update(tf.constant(scores.argmax(-1)), tf.constant(labels), tf.constant(weights))
    scores, labels, weights = joined()
    expected = np.zeros([7, 7], np.int64)
    np.add.at(expected, (labels, scores.argmax(-1)), weights.astype(np.int64))
    np.testing.assert_array_equal(matrix.result(), expected)
    recalls = matrix.recalls()
    assert math.isnan(recalls[6]), "a class without examples"
    for label in range(7):
        hits, total = expected[label, label], expected[label].sum()
        assert recalls[label] == pytest.approx(hits / total if total else math.nan, nan_ok=True)
    matrix.reset()
    matrix.update(tf.constant([0, 1, 1]), tf.constant([0, 0, 1]))
    np.testing.assert_array_equal(matrix.result()[:2, :2], [[1, 1], [0, 1]])


@pytest.mark.parametrize("k", [0, -1])
def test_k_below_one_is_an_error(k):
    with pytest.raises(_checks.UserError, match=f"k={k} must be positive"):
        metrics.RecallAtK(k)


def test_num_classes_below_one_is_an_error():
    with pytest.raises(_checks.UserError, match="num_classes=0 must be positive"):
        metrics.ConfusionMatrix(0)
