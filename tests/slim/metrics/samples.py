"""Batches of several sizes, and metrics of them by NumPy and scikit-learn."""

import functools

import numpy as np
import sklearn.metrics

SIZES = (7, 1, 16, 5)
CLASSES = 5
THRESHOLDS = [0.2, 0.5, 0.8]


def columns():
    """Returns columns of all examples; integer weights, some of them zero."""
    random = np.random.RandomState(1)
    size = sum(SIZES)
    x = random.standard_normal(size).astype(np.float32)
    labels = random.randint(0, 2, size)
    noise = random.standard_normal(size)
    return {
        # Between the thresholds of the metrics, and with ties.
        "scores": (np.round(1 / (1 + np.exp(-noise - labels)), 1) * 0.98 + 0.003).astype(
            np.float32
        ),
        "labels": labels,
        "x": x,
        "y": (x + random.standard_normal(size)).astype(np.float32),
        "classes": random.randint(0, CLASSES, size),
        "guesses": random.randint(0, CLASSES, size),
        "logits": random.standard_normal([size, CLASSES]).astype(np.float32),
        "weights": random.randint(0, 3, size).astype(np.float32),
    }


ALL = columns()


def batches(*names):
    """Yields the named columns of each batch."""
    start = 0
    for size in SIZES:
        yield tuple(ALL[name][start : start + size] for name in names)
        start += size


@functools.cache
def counts(threshold):
    """Returns the weights of true positives, false negatives, true negatives, false positives."""
    (tn, fp), (fn, tp) = sklearn.metrics.confusion_matrix(
        ALL["labels"], ALL["scores"] > threshold, sample_weight=ALL["weights"]
    )
    return tp, fn, tn, fp


def at_thresholds(function, thresholds=THRESHOLDS):
    """Returns the values of a function of the counts."""
    return [function(*counts(each)) for each in thresholds]


def evenly_spaced(number=200):
    return np.concatenate([[-1e-7], np.arange(1, number - 1) / (number - 1), [1 + 1e-7]])


def correlation():
    x, y, weights = ALL["x"], ALL["y"], ALL["weights"].astype(int)
    return np.corrcoef(np.repeat(x, weights), np.repeat(y, weights))[0, 1]


def weighted(values):
    return np.average(values, weights=ALL["weights"])


def top_k(k):
    return np.argsort(-ALL["logits"], axis=-1, kind="stable")[:, :k]


def kappa():
    return sklearn.metrics.cohen_kappa_score(
        ALL["classes"], ALL["guesses"], sample_weight=ALL["weights"]
    )


def mean_iou():
    return sklearn.metrics.jaccard_score(
        ALL["classes"], ALL["guesses"], average="macro", sample_weight=ALL["weights"]
    )


def area():
    return sklearn.metrics.roc_auc_score(ALL["labels"], ALL["scores"], sample_weight=ALL["weights"])


def area_pr():
    precision, recall, _ = sklearn.metrics.precision_recall_curve(
        ALL["labels"], ALL["scores"], sample_weight=ALL["weights"]
    )
    return sklearn.metrics.auc(recall, precision)


def best_f1():
    return max(at_thresholds(lambda tp, fn, tn, fp: 2 * tp / (2 * tp + fp + fn), evenly_spaced()))
