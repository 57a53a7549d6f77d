"""Names, collections, signatures and errors of the streaming metrics."""

import inspect
import re

import numpy as np
import pytest
import tensorflow as tf

import slim
from slim import metrics
from slim.metrics import renamed

v1 = tf.compat.v1
NO_STREAMS = {
    "accuracy", "aggregate_metric_map", "aggregate_metrics", "average_precisions",
    "best_thresholds", "in_top_k", "wilson_interval",
}  # fmt: skip
STREAMS = sorted(
    name for name in metrics.__all__ if name == name.lower() and name not in NO_STREAMS
)
ONE = np.ones([2], np.float32)
# Arguments of one example each, for those that have the parameter.
ARGUMENTS = {
    "predictions": ONE, "labels": ONE, "values": ONE, "normalizer": ONE, "threshold": 0.5,
    "thresholds": [0.5], "sensitivity": 0.5, "specificity": 0.5, "precision": 0.5,
    "target_recall": 0.5, "num_classes": 2, "dim": 0, "boolean_labels": [True, False],
    "scores": ONE, "score_range": [0.0, 1.0], "k": 1, "top_k_predictions": [[1], [1]],
    "predictions_idx": [1, 1],
}  # fmt: skip


def arguments_of(name):
    arguments = {
        key: ARGUMENTS[key]
        for key in inspect.signature(getattr(metrics, name)).parameters
        if key in ARGUMENTS
    }
    if "k" in arguments:
        arguments.update(predictions=np.float32([[0.0, 1.0]] * 2), labels=[1, 1])
        if "sparse" in name:
            arguments["labels"] = np.array([[1], [1]])
    if "top_k_predictions" in arguments:
        arguments["labels"] = np.array([[1], [1]])
    if name == "cohen_kappa":
        arguments["labels"] = [1, 1]
    if name == "precision_recall_at_equal_thresholds":
        arguments["labels"] = [True, True]
    return {
        key: each if key in ("k", "num_classes", "dim", "thresholds") else np.asarray(each)
        for key, each in arguments.items()
    }


@pytest.mark.parametrize("name", STREAMS)
def test_outside_a_graph_the_error_names_an_object_or_the_graph(name):
    with pytest.raises(RuntimeError, match=f"slim.metrics.{name} needs a tf.Graph") as caught:
        getattr(metrics, name)(**arguments_of(name))
    for each in re.findall(r"slim\.metrics\.([A-Z]\w*)", str(caught.value)):
        assert isinstance(getattr(metrics, each), type)
    assert "In eager code, use slim.metrics." in str(caught.value) or (
        "There is no object for eager code" in str(caught.value)
    )


def test_the_error_inside_a_function_of_eager_code_names_the_objects():
    function = tf.function(lambda x: metrics.streaming_false_positive_rate(x, x))
    with pytest.raises(
        RuntimeError, match="slim.metrics.FalsePositives and slim.metrics.TrueNegatives: `update"
    ):
        function(tf.ones([2]))


@pytest.mark.parametrize("name", STREAMS)
def test_a_graph_holds_the_results_and_the_local_variables(name):
    function = getattr(metrics, name)
    parameters = inspect.signature(function).parameters
    collections = {
        key: [key] for key in ("metrics_collections", "updates_collections") if key in parameters
    }
    with tf.Graph().as_default():
        inputs = {
            key: tf.constant(each) if isinstance(each, np.ndarray) and each.ndim else each
            for key, each in arguments_of(name).items()
        }
        scope = {"name": "scope"} if "name" in parameters else {}
        value, update = function(**inputs, **collections, **scope)
        assert not v1.global_variables()
        assert not v1.trainable_variables()
        variables = v1.local_variables()
        assert variables
        assert all(each.name.startswith("scope/") for each in variables) or not scope
        if collections:
            assert v1.get_collection("metrics_collections") == [value]
            assert v1.get_collection("updates_collections") == [update]
        with v1.Session() as session:
            session.run(v1.local_variables_initializer())
            session.run(update)
            session.run(value)


@pytest.mark.parametrize("name", STREAMS)
def test_docstrings_name_each_parameter(name):
    function = getattr(metrics, name)
    text = inspect.getdoc(function)
    parameters = inspect.signature(function).parameters
    assert function.__name__ == name
    arguments = text.partition("Args:\n")[2].partition("\nReturns:\n")[0]
    assert re.findall(r"^  (\w+): \S", arguments, re.MULTILINE) == list(parameters)
    assert "(value, update_op)" in text
    assert re.match(r"[A-Z][^\n]{10,97}\.\n\n", text)


def test_renamed_metrics_bind_like_any_function():
    with pytest.raises(TypeError, match=r"streaming_accuracy\(\): missing a required argument"):
        renamed.streaming_accuracy([1])
    with pytest.raises(TypeError, match="unexpected keyword argument 'k'"):
        renamed.streaming_accuracy([1], [1], k=1)


@pytest.mark.parametrize(
    "name, options, message",
    [
        ("streaming_curve_points", {"curve": "DET"}, "curve must be either ROC or PR, DET unknown"),
        ("streaming_dynamic_auc", {"curve": "DET"}, "curve must be either ROC or PR, DET unknown"),
        ("auc_with_confidence_intervals", {"alpha": 1}, "alpha=1 must be between 0 and 1"),
        ("recall_at_precision", {"precision": 1.5}, r"precision=1.5 must be in the range \[0, 1\]"),
        ("precision_at_recall", {"target_recall": -1}, "target_recall=-1 must be in the range"),
        ("cohen_kappa", {"num_classes": 1}, "num_classes=1 must be at least 2"),
        ("cohen_kappa", {"labels": np.ones([1, 1, 1], np.int32)}, "rank at most 2"),
        ("auc_using_histogram", {"boolean_labels": [1, 0]}, "must be bool, not int32"),
        ("auc_using_histogram", {"boolean_labels": [[1 > 0]], "scores": [[1.0]]}, "have rank 1"),
        ("streaming_dynamic_auc", {"labels": np.ones([3])}, "incompatible"),
        ("f1_score", {"labels": np.ones([3])}, "incompatible"),
        (
            "streaming_sparse_average_precision_at_top_k",
            {"top_k_predictions": [1, 1]},
            r"top_k_predictions has shape \(2,\); expected \[batch, ..., k\]",
        ),
        ("streaming_concat", {"axis": 1}, r"axis=1 is not an axis of values with shape \(2,\)"),
        ("streaming_concat", {"axis": -2}, "axis=-2 is not an axis of values"),
    ],
)  # fmt: skip
def test_wrong_arguments_are_an_error_at_once(name, options, message):
    with tf.Graph().as_default(), pytest.raises(ValueError, match=message):
        getattr(metrics, name)(**{**arguments_of(name), **options})


@pytest.mark.parametrize(
    "shape, message",
    [
        (None, "values must have a known rank"),
        ([None, None], "every axis but axis=0 must be known"),
    ],
)
def test_concat_of_unknown_shapes_is_an_error(shape, message):
    with tf.Graph().as_default(), pytest.raises(ValueError, match=message):
        metrics.streaming_concat(v1.placeholder(tf.float32, shape))


@pytest.mark.parametrize("name", ["streaming_dynamic_auc", "auc_with_confidence_intervals"])
@pytest.mark.parametrize("label, message", [(2, "at least one is >1"), (-1, "at least one is <0")])
def test_labels_other_than_0_and_1_are_an_error_of_the_run(name, label, message):
    with tf.Graph().as_default(), v1.Session() as session:
        labels = v1.placeholder(tf.int32, [None])
        _, update = getattr(metrics, name)(labels, tf.ones_like(labels, tf.float32))
        session.run(v1.local_variables_initializer())
        with pytest.raises(
            tf.errors.InvalidArgumentError, match=f"labels must be 0 or 1, {message}"
        ):
            session.run(update, {labels: [0, label]})


@pytest.mark.parametrize("name", ["f1_score", "precision_recall_at_equal_thresholds"])
@pytest.mark.parametrize("score", [-0.1, 1.1])
def test_scores_outside_the_unit_interval_are_an_error_of_the_run(name, score):
    with tf.Graph().as_default(), v1.Session() as session:
        scores = v1.placeholder(tf.float32, [None])
        _, update = getattr(metrics, name)(tf.fill(tf.shape(scores), True), scores)
        session.run(v1.local_variables_initializer())
        with pytest.raises(tf.errors.InvalidArgumentError, match=r"must be in \[0, 1\]"):
            session.run(update, {scores: [0.5, score]})


def test_weights_of_another_rank_are_an_error():
    with tf.Graph().as_default(), pytest.raises(ValueError, match="have the labels' rank"):
        metrics.count(np.ones([2, 3, 4]), np.ones([4]))


def test_aggregates_take_pairs_apart():
    with tf.Graph().as_default(), v1.Session() as session:
        values, updates = slim.metrics.aggregate_metric_map(
            {
                "accuracy": slim.metrics.streaming_accuracy(
                    tf.constant([1, 2]), tf.constant([1, 1])
                ),
                "mean": slim.metrics.streaming_mean(ONE),
            }
        )
        session.run(v1.local_variables_initializer())
        assert session.run(updates) == {"accuracy": 0.5, "mean": 1.0}
        assert session.run(values) == {"accuracy": 0.5, "mean": 1.0}
    assert metrics.aggregate_metrics((1, 2), (3, 4)) == ([1, 3], [2, 4])


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: metrics.aggregate_metrics(), "aggregate_metrics expects at least one"),
        (lambda: metrics.aggregate_metric_map({}), "aggregate_metric_map expects at least one"),
        (
            lambda: metrics.aggregate_metric_map({"a": metrics.Accuracy()}),
            "'a' is Accuracy, not the .value, update_op. of a streaming metric. In eager code",
        ),
        (
            lambda: metrics.aggregate_metric_map({"a": metrics.Accuracy}),
            "'a' is Accuracy, .*slim.evaluation.evaluate_once",
        ),
        (lambda: metrics.aggregate_metrics((1, 2, 3)), "argument 0 is tuple"),
    ],
)
def test_what_is_no_pair_is_an_error(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("eager", [True, False])
@pytest.mark.parametrize(
    "predictions, labels, weights, expected",
    [
        ([1, 2, 3], [1, 2, 0], None, 2 / 3),
        (["a", "b"], ["a", "c"], None, 0.5),
        ([True, False], [True, True], [3.0, 1.0], 0.75),
        ([[1, 2], [3, 4]], [[1, 0], [0, 0]], [[1], [2]], 1 / 6),
    ],
)
def test_accuracy_is_that_of_its_arguments_alone(predictions, labels, weights, expected, eager):
    with tf.init_scope() if eager else tf.Graph().as_default():
        value = metrics.accuracy(predictions, labels, weights)
        value = value.numpy() if eager else v1.Session().run(value)
    assert value == pytest.approx(expected)


def test_accuracy_of_other_types_is_an_error():
    with pytest.raises(ValueError, match="labels must be bool, integers or strings, not float32"):
        metrics.accuracy([1.0], [1.0])
    with pytest.raises(ValueError, match="predictions are int32, but labels are bool; cast one to"):
        metrics.accuracy([1], [True])
