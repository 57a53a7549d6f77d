"""What each parameter of a streaming metric means; their docstrings are completed from here."""

import inspect

_ARGUMENTS = {
    "alpha": "level of the confidence interval, in (0, 1).",
    "axis": "the axis along which batches are concatenated.",
    "boolean_labels": "bool, [batch].",
    "check_shape": "whether to assert that labels and scores have rank 1.",
    "class_id": "count this class only; None counts all.",
    "collections": "collections of the variables; default: [LOCAL_VARIABLES].",
    "curve": '"ROC" or "PR" (precision over recall).',
    "dim": "the axis of the vectors' components.",
    "k": "how many of the highest scores count as predicted.",
    "labels": "the true values.",
    "logit_transformation": "whether to compute the interval on the logit scale, within [0, 1].",
    "max_size": "how many entries to keep; later ones are dropped. None keeps all.",
    "metrics_collections": "collections to which the value is added.",
    "name": "name of the variable scope.",
    "nbins": "number of bins of a histogram.",
    "normalizer": "divides the errors; the shape of `predictions`.",
    "num_classes": "number of classes.",
    "num_thresholds": "number of evenly spaced thresholds.",
    "precision": "the target precision, in [0, 1].",
    "predictions": "the predicted values, in the shape of `labels` unless stated otherwise.",
    "predictions_idx": "predicted class indices, [batch].",
    "score_range": "the lowest and the highest score, [2]; scores outside are clipped.",
    "scores": "numbers, [batch].",
    "sensitivity": "the target sensitivity, in [0, 1].",
    "specificity": "the target specificity, in [0, 1].",
    "strict_mode": "whether the precision must be reached; if it never is, the recall is 0.",
    "target_recall": "the target recall, in [0, 1].",
    "threshold": "the limit.",
    "thresholds": "a list of numbers in [0, 1]; scores above one are predicted positive.",
    "top_k_predictions": "predicted class indices, the likeliest first, [batch, ..., k].",
    "updates_collections": "collections to which `update_op` is added.",
    "use_locking": "accepted for TF-Slim's signature; additions are always atomic.",
    "values": "a tensor.",
    "weights": "a number, or a tensor of the labels' (values') rank that broadcasts to them; "
    "zero excludes an element.",
}
_REST = """
Returns:
  `(value, update_op)`: the value of all batches so far, and the op that adds this batch.

Raises:
  RuntimeError: outside a plain `tf.Graph`; the message names the object for eager code.
"""


def docstring(summary: str, signature: inspect.Signature) -> str:
    """Returns a docstring with the arguments, results and errors of a streaming metric."""
    arguments = "".join(f"  {name}: {_ARGUMENTS[name]}\n" for name in signature.parameters)
    return f"{inspect.cleandoc(summary)}\n\nArgs:\n{arguments}{_REST}"
