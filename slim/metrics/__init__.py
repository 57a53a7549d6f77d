"""Metrics of all batches of an evaluation.

In eager code, a metric is an object: `update(...)` for each batch, `result()` at the end.
In a plain `tf.Graph`, a function of TF-Slim's name and signature returns `(value, update_op)`.
"""

from slim.metrics.aggregation import aggregate_metric_map, aggregate_metrics
from slim.metrics.at_k import streaming_recall_at_k, streaming_sparse_average_precision_at_top_k
from slim.metrics.concatenation import streaming_concat
from slim.metrics.counting import (
    accuracy,
    cohen_kappa,
    count,
    streaming_false_negative_rate,
    streaming_false_positive_rate,
)
from slim.metrics.curves import (
    auc_using_histogram,
    auc_with_confidence_intervals,
    precision_recall_at_equal_thresholds,
    streaming_dynamic_auc,
)
from slim.metrics.keras_objects import (
    AUC,
    FalseNegatives,
    FalsePositives,
    MeanAbsoluteError,
    MeanIoU,
    MeanSquaredError,
    Precision,
    PrecisionAtRecall,
    Recall,
    RecallAtPrecision,
    RootMeanSquaredError,
    SensitivityAtSpecificity,
    SpecificityAtSensitivity,
    TrueNegatives,
    TruePositives,
)
from slim.metrics.moments import streaming_covariance, streaming_pearson_correlation
from slim.metrics.multi_label import LabelScores, average_precisions, best_thresholds
from slim.metrics.objects import (
    Accuracy,
    CohenKappa,
    ConfusionMatrix,
    F1Score,
    Mean,
    PearsonCorrelation,
    RecallAtK,
    in_top_k,
)
from slim.metrics.per_class import (
    CalibrationError,
    ClassScores,
    SparseConfusionMatrix,
    wilson_interval,
)
from slim.metrics.renamed import (
    sparse_recall_at_top_k,
    streaming_accuracy,
    streaming_auc,
    streaming_false_negatives,
    streaming_false_positives,
    streaming_mean,
    streaming_mean_absolute_error,
    streaming_mean_cosine_distance,
    streaming_mean_iou,
    streaming_mean_relative_error,
    streaming_mean_squared_error,
    streaming_mean_tensor,
    streaming_percentage_less,
    streaming_precision,
    streaming_precision_at_thresholds,
    streaming_recall,
    streaming_recall_at_thresholds,
    streaming_root_mean_squared_error,
    streaming_sensitivity_at_specificity,
    streaming_sparse_average_precision_at_k,
    streaming_sparse_precision_at_k,
    streaming_sparse_precision_at_top_k,
    streaming_sparse_recall_at_k,
    streaming_specificity_at_sensitivity,
    streaming_true_negatives,
    streaming_true_positives,
)
from slim.metrics.thresholds import (
    f1_score,
    precision_at_recall,
    recall_at_precision,
    streaming_curve_points,
    streaming_false_negative_rate_at_thresholds,
    streaming_false_negatives_at_thresholds,
    streaming_false_positive_rate_at_thresholds,
    streaming_false_positives_at_thresholds,
    streaming_true_negatives_at_thresholds,
    streaming_true_positives_at_thresholds,
)

__all__ = [
    "AUC", "Accuracy", "CalibrationError", "ClassScores", "CohenKappa", "ConfusionMatrix",
    "F1Score", "FalseNegatives", "FalsePositives", "LabelScores", "Mean", "MeanAbsoluteError",
    "MeanIoU", "MeanSquaredError", "PearsonCorrelation", "Precision", "PrecisionAtRecall", "Recall",
    "RecallAtK", "RecallAtPrecision", "RootMeanSquaredError", "SensitivityAtSpecificity",
    "SparseConfusionMatrix", "SpecificityAtSensitivity", "TrueNegatives", "TruePositives",
    "accuracy", "aggregate_metric_map", "aggregate_metrics", "auc_using_histogram",
    "auc_with_confidence_intervals", "average_precisions", "best_thresholds", "cohen_kappa",
    "count", "f1_score", "in_top_k",
    "precision_at_recall", "precision_recall_at_equal_thresholds", "recall_at_precision",
    "sparse_recall_at_top_k", "streaming_accuracy", "streaming_auc", "streaming_concat",
    "streaming_covariance", "streaming_curve_points", "streaming_dynamic_auc",
    "streaming_false_negative_rate", "streaming_false_negative_rate_at_thresholds",
    "streaming_false_negatives", "streaming_false_negatives_at_thresholds",
    "streaming_false_positive_rate", "streaming_false_positive_rate_at_thresholds",
    "streaming_false_positives", "streaming_false_positives_at_thresholds", "streaming_mean",
    "streaming_mean_absolute_error", "streaming_mean_cosine_distance", "streaming_mean_iou",
    "streaming_mean_relative_error", "streaming_mean_squared_error", "streaming_mean_tensor",
    "streaming_pearson_correlation", "streaming_percentage_less", "streaming_precision",
    "streaming_precision_at_thresholds", "streaming_recall", "streaming_recall_at_k",
    "streaming_recall_at_thresholds", "streaming_root_mean_squared_error",
    "streaming_sensitivity_at_specificity", "streaming_sparse_average_precision_at_k",
    "streaming_sparse_average_precision_at_top_k", "streaming_sparse_precision_at_k",
    "streaming_sparse_precision_at_top_k", "streaming_sparse_recall_at_k",
    "streaming_specificity_at_sensitivity", "streaming_true_negatives",
    "streaming_true_negatives_at_thresholds", "streaming_true_positives",
    "streaming_true_positives_at_thresholds", "wilson_interval",
]  # fmt: skip
