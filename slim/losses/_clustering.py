"""The search of `cluster_loss` for medoids, and agreements of two clusterings, in NumPy.

The agreements equal scikit-learn's, which need not be installed.
"""

import itertools
from collections.abc import Callable

import numpy as np

ROUNDS = 5  # of the local search


def search(
    distances: np.ndarray, labels: np.ndarray, multiplier: float, margin_type: str, refine: bool
) -> tuple[np.ndarray, np.float64]:
    """Seeks the clustering with the best score plus margin.

    Args:
      distances: [batch, batch].
      labels: [batch].
      multiplier: weight of 1 - agreement.
      margin_type: key of `AGREEMENTS`.
      refine: whether to improve the greedy medoids by a local search (PAM).

    Returns:
      Indices of the medoids, int32, and the agreement of their clusters with the labels.
    """
    # The sum of float32 distances is exact in float64: equal scores stay equal.
    distances = distances.astype(np.float64)

    def agreement(medoids: list[int]) -> float:
        return AGREEMENTS[margin_type](labels, _nearest(distances, medoids))

    def best(scores: np.ndarray, candidates: np.ndarray, others: Callable) -> int:
        margins = [multiplier * (1.0 - agreement(others(medoid))) for medoid in candidates]
        return int(candidates[np.argmax(scores + margins)])

    medoids: list[int] = []
    reached = np.full(len(labels), np.inf)  # distance of each element to its medoid
    for _ in np.unique(labels):
        candidates = np.setdiff1d(np.arange(len(labels)), medoids)
        scores = -np.minimum(distances[candidates], reached).sum(1)
        medoids.append(best(scores, candidates, lambda medoid: [*medoids, medoid]))
        reached = np.minimum(reached, distances[medoids[-1]])
    for _ in range(ROUNDS if refine else 0):
        clusters = _nearest(distances, medoids)
        for k in range(len(medoids)):
            members = np.flatnonzero(clusters == k)
            scores = -distances[np.ix_(members, members)].sum(0)
            replaced = lambda medoid: [*medoids[:k], medoid, *medoids[k + 1 :]]  # noqa: B023, E731
            medoids[k] = best(scores, members, replaced)
    return np.array(medoids, np.int32), np.float64(agreement(medoids))


def _nearest(distances: np.ndarray, medoids: list[int]) -> np.ndarray:
    """Returns each element's index into the medoids; a medoid's is its own."""
    clusters = np.argmin(distances[medoids], 0)
    clusters[medoids] = np.arange(len(medoids))
    return clusters


def contingency(labels: np.ndarray, clusters: np.ndarray) -> np.ndarray:
    """Returns the number of elements of each label in each cluster, without empty ones."""
    _, rows = np.unique(labels, return_inverse=True)
    _, columns = np.unique(clusters, return_inverse=True)
    shape = rows.max() + 1, columns.max() + 1
    return np.bincount(rows * shape[1] + columns, minlength=shape[0] * shape[1]).reshape(shape)


def _information(counts: np.ndarray) -> tuple[float, float]:
    """Returns the mutual information, and the mean entropy of labels and clusters."""
    size = counts.sum()
    by_label, by_cluster = (_entropy(counts.sum(axis) / size) for axis in (1, 0))
    return by_label + by_cluster - _entropy(counts.ravel() / size), (by_label + by_cluster) / 2


def _entropy(fractions: np.ndarray) -> float:
    present = fractions[fractions > 0]
    return float(-(present * np.log(present)).sum())


def normalized_mutual_information(labels: np.ndarray, clusters: np.ndarray) -> float:
    """Returns the mutual information divided by the mean entropy; also the V-measure."""
    counts = contingency(labels, clusters)
    if 1 in counts.shape:
        return float(counts.shape == (1, 1))
    information, entropy = _information(counts)
    return information / entropy


def adjusted_mutual_information(labels: np.ndarray, clusters: np.ndarray) -> float:
    """Returns the mutual information adjusted for chance, at least 0.

    Source: Vinh, Epps and Bailey, "Information Theoretic Measures for Clusterings Comparison",
    JMLR 11 (2010).
    """
    counts = contingency(labels, clusters)
    if 1 in counts.shape:
        return float(counts.shape == (1, 1))
    information, entropy = _information(counts)
    expected = _expected_information(counts)
    tiny = np.finfo(float).eps
    return max((information - expected + tiny) / (entropy - expected + tiny), 0.0)


def _expected_information(counts: np.ndarray) -> float:
    """Returns the mean mutual information over all clusterings of these sizes."""
    size = int(counts.sum())
    log_factorial = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, size + 1)))])
    expected = 0.0
    # Labels and clusters of equal sizes have equal terms.
    sizes = [zip(*np.unique(counts.sum(axis), return_counts=True), strict=True) for axis in (1, 0)]
    for (a, repeats), (b, more_repeats) in itertools.product(*sizes):
        n = np.arange(max(1, a + b - size), min(a, b) + 1)
        ways = log_factorial[[a, b, size - a, size - b]].sum() - log_factorial[size]
        ways = ways - sum(log_factorial[m] for m in (n, a - n, b - n, size - a - b + n))
        terms = n / size * np.log(size * n / (a * b)) * np.exp(ways)
        expected += repeats * more_repeats * terms.sum()
    return expected


def adjusted_rand_index(labels: np.ndarray, clusters: np.ndarray) -> float:
    """Returns the Rand index adjusted for chance, at least 0.

    Source: Hubert and Arabie, "Comparing Partitions", Journal of Classification 2 (1985).
    """
    counts = contingency(labels, clusters)

    def pairs(numbers: np.ndarray) -> float:
        return float((numbers * (numbers - 1) / 2).sum())

    by_label, by_cluster = pairs(counts.sum(1)), pairs(counts.sum(0))
    expected = by_label * by_cluster / max(pairs(counts.sum(keepdims=True)), 1.0)
    largest = (by_label + by_cluster) / 2
    if largest == expected:  # no pair is, or all pairs are, together in both
        return 1.0
    return max((pairs(counts) - expected) / (largest - expected), 0.0)


def same_numbers(labels: np.ndarray, clusters: np.ndarray) -> float:
    """Returns 1 if each label is the index of its cluster, otherwise 0."""
    return float(np.array_equal(labels, clusters))


AGREEMENTS: dict[str, Callable[[np.ndarray, np.ndarray], float]] = {
    "nmi": normalized_mutual_information,
    "ami": adjusted_mutual_information,
    "ari": adjusted_rand_index,
    "vmeasure": normalized_mutual_information,
    "const": same_numbers,
}
