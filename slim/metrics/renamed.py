"""Streaming metrics that `tf.compat.v1.metrics` has under another name or order of arguments.

Each line of the tables: the function there, the parameters here in TF-Slim's order, the object for
eager code, and what the metric is. Defaults are those of `tf.compat.v1.metrics`.
"""

import inspect
from collections.abc import Callable

import tensorflow as tf

from slim.metrics._glossary import docstring
from slim.metrics._streams import Stream, check_graph

_TAIL = "metrics_collections updates_collections name"
_PAIR = f"predictions labels weights {_TAIL}"


def _renamed(
    name: str, source: str, parameters: str, eager: str | None, summary: str
) -> Callable[..., Stream]:
    """Returns a function that calls one of `tf.compat.v1.metrics` with its arguments renamed."""
    target = getattr(tf.compat.v1.metrics, source)
    known = inspect.signature(target).parameters
    signature = inspect.Signature(
        [
            inspect.Parameter(
                each,
                inspect.Parameter.POSITIONAL_OR_KEYWORD,
                default=known[each].default if each in known else inspect.Parameter.empty,
            )
            for each in parameters.split()
        ],
        return_annotation=Stream,
    )

    def streaming(*args: object, **kwargs: object) -> Stream:
        try:
            arguments = signature.bind(*args, **kwargs).arguments
        except TypeError as error:
            raise TypeError(f"{name}(): {error}") from None
        check_graph(name, eager)
        if "top_k_predictions" in arguments:
            predictions = tf.convert_to_tensor(arguments.pop("top_k_predictions"))
            arguments["predictions_idx"] = predictions
        return target(**arguments)

    streaming.__name__ = streaming.__qualname__ = name
    origin = f"This is `tf.compat.v1.metrics.{source}` with TF-Slim's arguments."
    streaming.__doc__ = docstring(f"{summary}.\n\n{origin}", signature)
    streaming.__signature__ = signature
    return streaming


# fmt: off
streaming_true_positives = _renamed(
    "streaming_true_positives", "true_positives", _PAIR, "TruePositives",
    "The weight of the examples predicted true that are true")
streaming_true_negatives = _renamed(
    "streaming_true_negatives", "true_negatives", _PAIR, "TrueNegatives",
    "The weight of the examples predicted false that are false")
streaming_false_positives = _renamed(
    "streaming_false_positives", "false_positives", _PAIR, "FalsePositives",
    "The weight of the examples predicted true that are false")
streaming_false_negatives = _renamed(
    "streaming_false_negatives", "false_negatives", _PAIR, "FalseNegatives",
    "The weight of the examples predicted false that are true")
streaming_mean = _renamed(
    "streaming_mean", "mean", f"values weights {_TAIL}", "Mean",
    "The weighted mean of all elements")
streaming_mean_tensor = _renamed(
    "streaming_mean_tensor", "mean_tensor", f"values weights {_TAIL}", None,
    "The weighted mean of tensors, elementwise")
streaming_accuracy = _renamed(
    "streaming_accuracy", "accuracy", _PAIR, "Accuracy",
    "The fraction of predictions that equal the labels")
streaming_precision = _renamed(
    "streaming_precision", "precision", _PAIR, "Precision",
    "The fraction of the examples predicted true that are true")
streaming_recall = _renamed(
    "streaming_recall", "recall", _PAIR, "Recall",
    "The fraction of the true examples that are predicted true")
streaming_auc = _renamed(
    "streaming_auc", "auc",
    "predictions labels weights num_thresholds metrics_collections updates_collections curve name",
    "AUC", "The approximate area under the ROC or precision-recall curve")
streaming_specificity_at_sensitivity = _renamed(
    "streaming_specificity_at_sensitivity", "specificity_at_sensitivity",
    f"predictions labels sensitivity weights num_thresholds {_TAIL}", "SpecificityAtSensitivity",
    "The specificity at the threshold whose sensitivity is closest to the target")
streaming_sensitivity_at_specificity = _renamed(
    "streaming_sensitivity_at_specificity", "sensitivity_at_specificity",
    f"predictions labels specificity weights num_thresholds {_TAIL}", "SensitivityAtSpecificity",
    "The sensitivity at the threshold whose specificity is closest to the target")
streaming_precision_at_thresholds = _renamed(
    "streaming_precision_at_thresholds", "precision_at_thresholds",
    f"predictions labels thresholds weights {_TAIL}", "Precision(thresholds=...)",
    "The precision at each threshold")
streaming_recall_at_thresholds = _renamed(
    "streaming_recall_at_thresholds", "recall_at_thresholds",
    f"predictions labels thresholds weights {_TAIL}", "Recall(thresholds=...)",
    "The recall at each threshold")
streaming_sparse_recall_at_k = _renamed(
    "streaming_sparse_recall_at_k", "recall_at_k",
    f"predictions labels k class_id weights {_TAIL}", "RecallAtK",
    "The fraction of labels that are among the k highest scores.\n\n"
    "Predictions are [batch, ..., classes], labels [batch, ..., labels], dense or sparse")
streaming_sparse_precision_at_k = _renamed(
    "streaming_sparse_precision_at_k", "precision_at_k",
    f"predictions labels k class_id weights {_TAIL}", None,
    "The fraction of the k highest scores whose classes are among the labels.\n\n"
    "Predictions are [batch, ..., classes], labels [batch, ..., labels], dense or sparse")
streaming_sparse_average_precision_at_k = _renamed(
    "streaming_sparse_average_precision_at_k", "average_precision_at_k",
    f"predictions labels k weights {_TAIL}", None,
    "The mean over examples of the average precision of the k highest scores.\n\n"
    "Predictions are [batch, ..., classes], labels [batch, ..., labels], dense or sparse")
streaming_sparse_precision_at_top_k = _renamed(
    "streaming_sparse_precision_at_top_k", "precision_at_top_k",
    f"top_k_predictions labels class_id weights {_TAIL}", None,
    "The fraction of predicted classes that are among the labels.\n\n"
    "Labels are [batch, ..., labels], dense or sparse")
sparse_recall_at_top_k = _renamed(
    "sparse_recall_at_top_k", "recall_at_top_k",
    f"labels top_k_predictions class_id weights {_TAIL}", None,
    "The fraction of labels that are among the predicted classes.\n\n"
    "Labels are [batch, ..., labels], dense or sparse")
streaming_mean_absolute_error = _renamed(
    "streaming_mean_absolute_error", "mean_absolute_error", _PAIR, "MeanAbsoluteError",
    "The mean absolute difference of predictions and labels")
streaming_mean_relative_error = _renamed(
    "streaming_mean_relative_error", "mean_relative_error",
    f"predictions labels normalizer weights {_TAIL}", "Mean",
    "The mean absolute difference of predictions and labels, divided by `normalizer`")
streaming_mean_squared_error = _renamed(
    "streaming_mean_squared_error", "mean_squared_error", _PAIR, "MeanSquaredError",
    "The mean squared difference of predictions and labels")
streaming_root_mean_squared_error = _renamed(
    "streaming_root_mean_squared_error", "root_mean_squared_error", _PAIR, "RootMeanSquaredError",
    "The root of the mean squared difference of predictions and labels")
streaming_mean_cosine_distance = _renamed(
    "streaming_mean_cosine_distance", "mean_cosine_distance",
    f"predictions labels dim weights {_TAIL}", "Mean",
    "The mean cosine distance of predictions and labels, both of unit length")
streaming_percentage_less = _renamed(
    "streaming_percentage_less", "percentage_below", f"values threshold weights {_TAIL}", "Mean",
    "The fraction of values below the threshold")
streaming_mean_iou = _renamed(
    "streaming_mean_iou", "mean_iou", f"predictions labels num_classes weights {_TAIL}", "MeanIoU",
    "The mean over classes of intersection over union of predicted and true elements")
# fmt: on
