"""Each streaming metric of a plain graph equals NumPy and scikit-learn over several batches."""

import numpy as np
import pytest
import tensorflow as tf
from sklearn.metrics import roc_auc_score, top_k_accuracy_score

from slim import metrics
from tests.slim.metrics import samples
from tests.slim.metrics.samples import ALL, CLASSES, THRESHOLDS, at_thresholds, weighted

v1 = tf.compat.v1


def run(name, columns, feeds=None, **options):
    """Returns the value after all batches and the result of the last update.

    Args:
      name: the metric.
      columns: parameter -> column of the samples.
      feeds: batches, by default those of the columns.
      **options: further arguments.
    """
    feeds = list(feeds or samples.batches(*columns.values()))
    with tf.Graph().as_default(), v1.Session() as session:
        inputs = {
            parameter: v1.placeholder(each.dtype, [None, *each.shape[1:]])
            for parameter, each in zip(columns, feeds[0], strict=True)
        }
        value, update = getattr(metrics, name)(**inputs, **options)
        session.run(v1.local_variables_initializer())
        for feed in feeds:
            last = session.run(update, dict(zip(inputs.values(), feed, strict=True)))
        return session.run(value), last


SCORES = {"predictions": "scores", "labels": "labels", "weights": "weights"}
NUMBERS = {"predictions": "x", "labels": "y", "weights": "weights"}
CLASS = {"predictions": "guesses", "labels": "classes", "weights": "weights"}
LOGITS = {"predictions": "logits", "labels": "classes", "weights": "weights"}
VALUES = {"values": "x", "weights": "weights"}
HIT = ALL["guesses"] == ALL["classes"]
ERROR = ALL["x"] - ALL["y"]
IN_TOP_2 = (samples.top_k(2) == ALL["classes"][:, None]).any(-1)
RATES = {
    "true_positives": lambda tp, fn, tn, fp: tp,
    "false_negatives": lambda tp, fn, tn, fp: fn,
    "true_negatives": lambda tp, fn, tn, fp: tn,
    "false_positives": lambda tp, fn, tn, fp: fp,
    "precision": lambda tp, fn, tn, fp: tp / (tp + fp),
    "recall": lambda tp, fn, tn, fp: tp / (tp + fn),
    "false_positive_rate": lambda tp, fn, tn, fp: fp / (fp + tn),
    "false_negative_rate": lambda tp, fn, tn, fp: fn / (fn + tp),
}


def closest_recall(target, strict):
    tp, fn, _, fp = np.transpose(at_thresholds(lambda *each: each, samples.evenly_spaced()))
    surplus = tp / (tp + fp + 1e-7) - target
    distance = np.where(surplus >= 0, surplus, np.inf) if strict else np.abs(surplus)
    best = np.argmin(distance)
    return tp[best] / (tp[best] + fn[best]) if np.isfinite(distance[best]) else 0


def precision_reaching(target):
    tp, fn, _, fp = np.transpose(at_thresholds(lambda *each: each, samples.evenly_spaced()))
    last = np.flatnonzero(tp / (tp + fn) >= target - 1e-7)[-1]
    return tp[last] / (tp[last] + fp[last])


CASES = [
    ("streaming_accuracy", CLASS, {}, weighted(HIT)),
    ("streaming_mean", VALUES, {}, weighted(ALL["x"])),
    ("count", VALUES, {}, ALL["weights"].sum()),
    ("count", {"values": "x"}, {}, len(HIT)),
    ("streaming_percentage_less", VALUES, {"threshold": 0.3}, weighted(ALL["x"] < 0.3)),
    ("streaming_mean_absolute_error", NUMBERS, {}, weighted(np.abs(ERROR))),
    ("streaming_mean_squared_error", NUMBERS, {}, weighted(ERROR**2)),
    ("streaming_root_mean_squared_error", NUMBERS, {}, np.sqrt(weighted(ERROR**2))),
    (
        "streaming_mean_relative_error",
        {**NUMBERS, "normalizer": "scores"},
        {},
        weighted(np.abs(ERROR) / ALL["scores"]),
    ),
    (
        "streaming_covariance",
        NUMBERS,
        {},
        np.cov(ALL["x"], ALL["y"], fweights=ALL["weights"].astype(int))[0, 1],
    ),
    (
        "streaming_covariance",
        {"predictions": "x", "labels": "y"},
        {},
        np.cov(ALL["x"], ALL["y"])[0, 1],
    ),
    ("streaming_pearson_correlation", NUMBERS, {}, samples.correlation()),
    ("streaming_mean_iou", CLASS, {"num_classes": CLASSES}, samples.mean_iou()),
    (
        "cohen_kappa",
        {"predictions_idx": "guesses", "labels": "classes", "weights": "weights"},
        {"num_classes": CLASSES},
        samples.kappa(),
    ),
    (
        "streaming_recall_at_k",
        LOGITS,
        {"k": 2},
        top_k_accuracy_score(ALL["classes"], ALL["logits"], k=2, sample_weight=ALL["weights"]),
    ),
    ("streaming_sparse_recall_at_k", LOGITS, {"k": 2}, weighted(IN_TOP_2)),
    ("streaming_sparse_precision_at_k", LOGITS, {"k": 2}, weighted(IN_TOP_2) / 2),
    (
        "streaming_sparse_average_precision_at_k",
        LOGITS,
        {"k": 2},
        weighted((samples.top_k(2) == ALL["classes"][:, None]) @ [1, 0.5]),
    ),
    ("streaming_dynamic_auc", SCORES, {}, samples.area()),
    ("streaming_dynamic_auc", SCORES, {"curve": "PR"}, samples.area_pr()),
    ("f1_score", SCORES, {}, samples.best_f1()),
    *(
        ("recall_at_precision", SCORES, {"precision": p, "strict_mode": s}, closest_recall(p, s))
        for p in (0.5, 0.65, 0.75, 1.0)
        for s in (False, True)
    ),
    *(
        ("precision_at_recall", SCORES, {"target_recall": r}, precision_reaching(r))
        for r in (0.3, 0.6, 0.99)
    ),
    *(
        (f"streaming_{name}_at_thresholds", SCORES, {"thresholds": THRESHOLDS}, at_thresholds(rate))
        for name, rate in RATES.items()
    ),
]


@pytest.mark.parametrize("name, columns, options, expected", CASES)
def test_value_equals_the_oracle(name, columns, options, expected):
    value, last = run(name, columns, **options)
    np.testing.assert_allclose(value, expected, rtol=1e-5)
    if name not in ("streaming_dynamic_auc", "streaming_mean_iou"):  # their updates return no value
        np.testing.assert_array_equal(last, value)


@pytest.mark.parametrize("name, rate", RATES.items())
def test_rates_of_predicted_classes_equal_scikit_learn(name, rate):
    feeds = [(s > 0.5, y, w) for s, y, w in samples.batches("scores", "labels", "weights")]
    value, last = run(f"streaming_{name}", SCORES, feeds)
    assert value == last == pytest.approx(rate(*samples.counts(0.5)), rel=1e-6)


def test_auc_and_rates_at_a_target_approximate_the_exact_curve():
    assert run("streaming_auc", SCORES)[0] == pytest.approx(samples.area(), abs=1e-4)
    feeds = list(samples.batches("scores", "labels"))
    both = {"predictions": "scores", "labels": "labels"}
    specificity = run("streaming_specificity_at_sensitivity", both, feeds, sensitivity=0.5)[0]
    sensitivity = run("streaming_sensitivity_at_specificity", both, feeds, specificity=0.5)[0]
    tps, fns, tns, fps = np.transpose(
        [
            (
                (ALL["labels"] * above).sum(),
                (ALL["labels"] * ~above).sum(),
                ((1 - ALL["labels"]) * ~above).sum(),
                ((1 - ALL["labels"]) * above).sum(),
            )
            for above in (ALL["scores"] > each for each in samples.evenly_spaced())
        ]
    )
    true, negative = tps / (tps + fns), tns / (tns + fps)
    closest = np.round(np.abs(true - 0.5), 6)
    assert specificity == pytest.approx(negative[closest == closest.min()].max(), abs=1e-5)
    assert sensitivity == pytest.approx(true[np.argmin(np.abs(negative - 0.5))], abs=1e-5)


@pytest.mark.parametrize("curve", ["ROC", "PR"])
def test_curve_points_equal_scikit_learn(curve):
    points, _ = run("streaming_curve_points", SCORES, num_thresholds=11, curve=curve)
    tp, fn, tn, fp = np.transpose(at_thresholds(lambda *each: each, samples.evenly_spaced(11)))
    recall = tp / (tp + fn)
    precision = (tp + 1e-6) / (tp + fp + 1e-6)
    expected = (fp / (fp + tn), recall) if curve == "ROC" else (recall, precision)
    np.testing.assert_allclose(points, np.transpose(expected), atol=1e-6)


def test_auc_of_histograms_is_exact_where_bins_hold_equal_scores():
    feeds = [(y.astype(bool), s) for y, s in samples.batches("labels", "scores")]
    columns = {"boolean_labels": "labels", "scores": "scores"}
    value, _ = run("auc_using_histogram", columns, feeds, score_range=[0.0, 1.0], nbins=1000)
    assert value == pytest.approx(roc_auc_score(ALL["labels"], ALL["scores"]), rel=1e-5)


@pytest.mark.parametrize("logit", [True, False])
def test_confidence_interval_equals_placement_values_by_pairs(logit):
    data, _ = run("auc_with_confidence_intervals", SCORES, logit_transformation=logit, alpha=0.9)
    scores, true = ALL["scores"], ALL["labels"] > 0
    wins = (scores[:, None] > scores) + (scores[:, None] == scores) / 2
    variance = 0
    for mask, beaten in ((true, wins), (~true, 1 - wins)):
        weight, others = ALL["weights"] * mask, ALL["weights"] * ~mask
        places = beaten @ others / others.sum()
        area = np.average(places, weights=weight)
        variance += weight @ (places - area) ** 2 / (weight.sum() - 1) / weight.sum()
    margin = 1.6448536 * np.sqrt(variance)
    if logit:
        middle, margin = np.log(area / (1 - area)), margin / (area * (1 - area))
        expected = 1 / (1 + np.exp(-np.array([middle, middle - margin, middle + margin])))
    else:
        expected = [area, area - margin, area + margin]
    np.testing.assert_allclose(data, expected, rtol=1e-5)
    assert data.auc == pytest.approx(samples.area(), rel=1e-5)


@pytest.mark.parametrize("labels", [[0, 0], [1, 1], []])
@pytest.mark.parametrize("name", ["streaming_dynamic_auc", "auc_with_confidence_intervals"])
def test_area_of_one_class_is_zero(name, labels):
    feeds = [(np.ones(len(labels), np.float32), np.array(labels, np.int64))]
    value, _ = run(name, {"predictions": "scores", "labels": "labels"}, feeds)
    np.testing.assert_array_equal(value, 0)


def test_equal_thresholds_hold_the_counts_and_include_the_threshold():
    feeds = [(s, y > 0, w) for s, y, w in samples.batches("scores", "labels", "weights")]
    data, _ = run("precision_recall_at_equal_thresholds", SCORES, feeds, num_thresholds=5)
    below = np.linspace(0, 1, 5) - 1e-6
    tp, fn, tn, fp = np.transpose(at_thresholds(lambda *each: each, below))
    np.testing.assert_allclose(data.thresholds, below + 1e-6)
    for actual, expected in zip(data[:4], (tp, fp, tn, fn), strict=True):
        np.testing.assert_allclose(actual, expected, rtol=1e-6)
    np.testing.assert_allclose(data.recall, tp / (tp + fn), rtol=1e-6)
    np.testing.assert_allclose(data.precision, tp / np.maximum(tp + fp, 1e-7), rtol=1e-6)
    exact = run("precision_recall_at_equal_thresholds", {}, [()], labels=[True], predictions=[0.5])
    assert len(exact[0].tp) == 201
    assert exact[0].tp.sum() == 101


LABELS = [[0, 2, -1], [1, -1, -1], [4, 3, 0]]  # -1 is none
BEST = [[2, 1], [0, 3], [4, 3]]


def constant(name, **arguments):
    return run(name, {}, [()], **arguments)[0]


@pytest.mark.parametrize(
    "ours, theirs, options",
    [
        ("streaming_sparse_precision_at_top_k", "precision_at_k", {}),
        ("streaming_sparse_precision_at_top_k", "precision_at_k", {"class_id": 4}),
        ("sparse_recall_at_top_k", "recall_at_k", {}),
        ("sparse_recall_at_top_k", "recall_at_k", {"class_id": 3}),
        ("streaming_sparse_average_precision_at_top_k", "average_precision_at_k", {}),
    ],
)
@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("weights", [None, [1.0, 2.0, 0.5]])
def test_metrics_of_predicted_classes_equal_those_of_scores(ours, theirs, options, sparse, weights):
    labels = np.array(LABELS, np.int64)
    if sparse:
        rows = np.argwhere(labels >= 0)
        labels = v1.SparseTensorValue(rows, labels[labels >= 0], [3, 5])
    scores = np.zeros([3, 5], np.float32)
    np.put_along_axis(scores, np.array(BEST), [[2.0, 1.0]], axis=1)
    actual = constant(ours, top_k_predictions=BEST, labels=labels, weights=weights, **options)
    expected = constant(
        f"streaming_sparse_{theirs}", predictions=scores, labels=labels, k=2, weights=weights,
        **options,
    )  # fmt: skip
    assert actual == pytest.approx(expected, rel=1e-6)
    assert actual > 0


def test_average_precision_of_one_label_each():
    value = constant(
        "streaming_sparse_average_precision_at_top_k", top_k_predictions=BEST, labels=[1, 3, 3]
    )
    assert value == 0.5


def test_mean_tensor_and_cosine_distance():
    values = np.reshape(ALL["logits"][:28], [7, 4, 5])
    with tf.Graph().as_default(), v1.Session() as session:
        batch = v1.placeholder(tf.float32, [4, 5])
        mean, update = metrics.streaming_mean_tensor(batch)
        session.run(v1.local_variables_initializer())
        for each in values:
            session.run(update, {batch: each})
        np.testing.assert_allclose(session.run(mean), values.mean(0), rtol=1e-5)
    unit = ALL["logits"] / np.linalg.norm(ALL["logits"], axis=1, keepdims=True)
    feeds = [(unit[:10], unit[1:11]), (unit[10:20], unit[11:21])]
    distance, _ = run(
        "streaming_mean_cosine_distance", {"predictions": "", "labels": ""}, feeds, dim=1
    )
    assert distance == pytest.approx(1 - (unit[:20] * unit[1:21]).sum(1).mean(), rel=1e-5)


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_concat_joins_batches_along_an_axis(axis):
    feeds = [(np.full([n, 3] if axis == 0 else [3, n], n, np.int32),) for n in (2, 1, 9, 40)]
    with tf.Graph().as_default(), v1.Session() as session:
        values = v1.placeholder(tf.int32, [None, 3] if axis == 0 else [3, None])
        joined, update = metrics.streaming_concat(values, axis=axis)
        for _ in range(2):  # the initializer resets it
            session.run(v1.local_variables_initializer())
            sizes = [session.run(update, {values: feed}) for (feed,) in feeds]
            assert sizes == [2, 3, 12, 52]
            expected = np.concatenate([feed for (feed,) in feeds], axis)
            np.testing.assert_array_equal(session.run(joined), expected)


def test_concat_keeps_at_most_max_size():
    feeds = [(np.array([1, 2, 3]),), (np.array([4, 5, 6]),), (np.array([7]),)]
    joined, size = run("streaming_concat", {"values": ""}, feeds, max_size=5)
    assert (joined.tolist(), size) == ([1, 2, 3, 4, 5], 5)


@pytest.mark.parametrize(
    "shapes",
    [([3], [3], [3]), ([3, 1], [3], [3]), ([3], [3, 1], [3, 1]), ([3, 2], [3, 2], [3]),
     ([3, 2], [3, 2], []), ([3, 2], [3, 2, 1], [3, 1])],
)  # fmt: skip
@pytest.mark.parametrize("known", [True, False])
def test_surplus_axes_of_size_one_do_not_matter(shapes, known):
    random = np.random.RandomState(0)
    x, y, weights = (random.randint(1, 9, shape).astype(np.float32) for shape in shapes)
    with tf.Graph().as_default(), v1.Session() as session:
        inputs = [v1.placeholder(tf.float32, shape if known else None) for shape in shapes]
        value, update = metrics.streaming_covariance(*inputs)
        session.run(v1.local_variables_initializer())
        feed = dict(zip(inputs, (x, y, weights), strict=True))
        session.run(update, feed)
        result = session.run(value)
    x, y = np.squeeze(x), np.squeeze(y)
    weights = weights.reshape(weights.shape[:1] + (1,) * (x.ndim - 1)) if weights.ndim else weights
    repeats = np.broadcast_to(weights, x.shape).astype(int).ravel()
    expected = np.cov(np.repeat(x, repeats), np.repeat(y, repeats))[0, 1]
    assert result == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("shape", [[2], [3, 2, 2], [4]])
def test_weights_that_do_not_fit_are_an_error(known, shape):
    with tf.Graph().as_default(), v1.Session() as session:
        values, weights = (
            v1.placeholder(tf.float32, each if known else None) for each in ([3, 5], shape)
        )
        feed = {values: np.ones([3, 5]), weights: np.ones(shape)}

        def count():
            _, update = metrics.count(values, weights)
            session.run(v1.local_variables_initializer())
            session.run(update, feed)

        with pytest.raises((ValueError, tf.errors.InvalidArgumentError)):
            count()
