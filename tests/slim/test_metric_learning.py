"""Metric learning losses equal their definitions, written as loops in NumPy."""

import itertools

import numpy as np
import pytest
import tensorflow as tf
from sklearn import metrics

from slim.losses import _clustering, metric_learning

N, CLASSES = 12, 4
RANDOM = np.random.default_rng(0)
A, B = RANDOM.normal(size=[2, N, 5]).astype(np.float32)
LABELS = np.concatenate([np.arange(CLASSES), RANDOM.integers(0, CLASSES, N - CLASSES)])
TAGS = RANDOM.integers(0, 2, [N, 6])
TAGS[:, 0] = 1
DISTANCES = np.linalg.norm(A[:, None] - A, axis=-1).astype(np.float64)
NEGATIVES = [np.flatnonzero(label != LABELS) for label in LABELS]
POSITIVES = [(i, j) for i, j in itertools.permutations(range(N), 2) if LABELS[i] == LABELS[j]]


def contrastive():
    distances, same = np.linalg.norm(A - B, axis=1), LABELS % 2
    return np.mean(same * distances**2 + (1 - same) * np.maximum(2 - distances, 0) ** 2)


def triplet():
    losses = []
    for i, j in POSITIVES:
        positive, negatives = DISTANCES[i, j] ** 2, DISTANCES[i, NEGATIVES[i]] ** 2
        farther = negatives[negatives > positive]
        negative = farther.min() if farther.size else negatives.max()
        losses.append(max(positive - negative + 2, 0))
    return np.mean(losses)


def lifted():
    losses = []
    for i, j in POSITIVES:
        negatives = [*DISTANCES[i, NEGATIVES[i]], *DISTANCES[j, NEGATIVES[j]]]
        soft_maximum = np.log(np.sum(np.exp(2 - np.array(negatives))))
        losses.append(max(soft_maximum + DISTANCES[i, j], 0) ** 2 / 2)
    return np.mean(losses)


def npairs(shared):
    targets, logits = shared / shared.sum(1, keepdims=True), A @ B.T
    log_softmax = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    entropy = -np.mean((targets * log_softmax).sum(1))
    return entropy + 0.25 * 0.1 * (np.mean((A**2).sum(1)) + np.mean((B**2).sum(1)))


def sparse(row):
    return tf.SparseTensor(np.flatnonzero(row)[:, None], np.ones(row.sum(), bool), [6])


# name: (loss of embeddings A and B, expected value)
LOSSES = {
    "contrastive": (
        lambda a, b: metric_learning.contrastive_loss(LABELS % 2, a, b, margin=2.0),
        contrastive(),
    ),
    "triplet": (lambda a, b: metric_learning.triplet_semihard_loss(LABELS, a, 2.0), triplet()),
    "lifted": (lambda a, b: metric_learning.lifted_struct_loss(LABELS, a, 2.0), lifted()),
    "npairs": (
        lambda a, b: metric_learning.npairs_loss(LABELS, a, b, 0.1),
        npairs((LABELS[:, None] == LABELS).astype(float)),
    ),
    "multilabel": (
        lambda a, b: metric_learning.npairs_loss_multilabel(list(map(sparse, TAGS)), a, b, 0.1),
        npairs((TAGS @ TAGS.T).astype(float)),
    ),
    "cluster": (lambda a, b: metric_learning.cluster_loss(LABELS, a, 5.0), None),
}


@pytest.mark.parametrize("name", LOSSES)
def test_value_and_gradient_in_each_mode(name):
    loss, expected = LOSSES[name]

    def with_gradient(a, b):
        with tf.GradientTape() as tape:
            tape.watch(a)
            value = loss(a, b)
        return value, tape.gradient(value, a)

    eager = with_gradient(tf.constant(A), tf.constant(B))
    traced = tf.function(with_gradient, autograph=False)(tf.constant(A), tf.constant(B))
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        a = tf.constant(A)
        value = loss(a, tf.constant(B))
        in_graph = session.run([value, tf.gradients(value, a)[0]])
    assert (eager[0].shape, eager[0].dtype) == ((), tf.float32)
    if expected is not None:
        np.testing.assert_allclose(eager[0], expected, rtol=1e-5)
    assert np.abs(eager[1]).max() > 1e-3
    for one, other in itertools.product(range(2), [traced, in_graph]):
        np.testing.assert_allclose(eager[one], other[one], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", LOSSES)
def test_gradient_of_equal_embeddings_is_finite(name):
    same = tf.ones([N, 5])
    with tf.GradientTape() as tape:
        tape.watch(same)
        value = LOSSES[name][0](same, same)
    assert np.isfinite(value)
    assert np.isfinite(tape.gradient(value, same)).all()


@pytest.mark.parametrize("name", ["triplet_semihard_loss", "lifted_struct_loss"])
@pytest.mark.parametrize("labels, expected", [(np.arange(N), 0.0), (np.zeros(N), None)])
def test_batches_without_positives_or_negatives_are_finite(name, labels, expected):
    embeddings = tf.constant(A)
    with tf.GradientTape() as tape:
        tape.watch(embeddings)
        value = getattr(metric_learning, name)(labels, embeddings)
    assert np.isfinite(tape.gradient(value, embeddings)).all()
    if expected is not None or name == "lifted_struct_loss":
        assert value == 0.0


@pytest.mark.parametrize("dtype, expected", [("float64", "float64"), ("bfloat16", "float32")])
@pytest.mark.parametrize("name", LOSSES)
def test_dtype(name, dtype, expected):
    a, b = tf.cast(A, dtype), tf.cast(B, dtype)
    for loss in (LOSSES[name][0], tf.function(LOSSES[name][0], autograph=False)):
        assert loss(a, b).dtype == expected


def test_losses_are_printed(capfd):
    metric_learning.npairs_loss(LABELS, A, B, print_losses=True)
    metric_learning.cluster_loss(LABELS, A, 1.0, print_losses=True)
    printed = capfd.readouterr().err
    assert all(name in printed for name in ("cross entropy:", "l2loss:", "clustering_loss:"))


def score(medoids):
    return -DISTANCES[medoids].min(0).sum()


def agreement(medoids):
    return metrics.normalized_mutual_info_score(LABELS, DISTANCES[medoids].argmin(0))


def test_cluster_loss_of_greedy_medoids():
    medoids = []
    for _ in range(CLASSES):
        others = [i for i in range(N) if i not in medoids]
        values = [score([*medoids, i]) + 5 * (1 - agreement([*medoids, i])) for i in others]
        medoids.append(others[int(np.argmax(values))])
    of_labels = -sum(
        min(DISTANCES[np.ix_(c == LABELS, c == LABELS)].sum(0)) for c in range(CLASSES)
    )
    expected = max(score(medoids) + 5 * (1 - agreement(medoids)) - of_labels, 0)
    loss = metric_learning.cluster_loss(LABELS[:, None], A, 5.0, enable_pam_finetuning=False)
    assert expected > 0
    np.testing.assert_allclose(loss, expected, rtol=1e-5)


def test_refined_medoids_of_separate_clusters_are_their_centers():
    centers = 10.0 * np.arange(3)
    points = (centers[:, None] + [-1.0, 0.1, 1.0]).reshape(-1)
    distances = np.abs(points[:, None] - points)
    medoids, agreement = _clustering.search(distances, np.repeat([5, 7, 9], 3), 0.0, "nmi", True)
    assert sorted(medoids) == [1, 4, 7]
    assert agreement == pytest.approx(1.0)


def test_cluster_loss_of_an_unknown_margin():
    with pytest.raises(ValueError, match="margin_type='nm' is not known; did you mean 'nmi'"):
        metric_learning.cluster_loss(LABELS, A, 1.0, margin_type="nm")


@pytest.mark.filterwarnings("ignore:The number of unique classes")
@pytest.mark.parametrize(
    "margin_type, oracle",
    [
        ("nmi", metrics.normalized_mutual_info_score),
        ("ami", metrics.adjusted_mutual_info_score),
        ("ari", metrics.adjusted_rand_score),
        ("vmeasure", metrics.v_measure_score),
        ("const", lambda labels, clusters: float((labels == clusters).all())),
    ],
)
def test_agreement_equals_scikit_learn(margin_type, oracle):
    for seed in range(60):
        random = np.random.default_rng(seed)
        size = random.integers(1, 40)
        labels, clusters = (random.integers(0, random.integers(1, size + 1), size) for _ in "ab")
        for other in (clusters, labels):
            result = _clustering.AGREEMENTS[margin_type](labels, other)
            assert result == pytest.approx(max(oracle(labels, other), 0.0), abs=1e-9)
