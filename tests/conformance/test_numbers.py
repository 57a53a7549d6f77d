"""Logits and one training step of each network equal the original's, from the same weights."""

import inspect

import numpy as np
import pytest
import tensorflow as tf

import slim
from nets import nets_factory
from tests.conformance import builds, checks, reference

# Of the logits' standard deviation.
LOGITS = 1e-4


def first_divergence(golden, end_points):
    """Returns which end point first has other statistics than the original's, and both."""
    for key, wanted in golden.items():
        if key.startswith("ep/"):
            name = key[3:].replace("|", "/")
            value = end_points[name].numpy()
            ours = np.array([value.mean(), value.std(), np.abs(value).max()])
            if not np.allclose(ours, wanted, rtol=1e-3, atol=1e-3 * wanted[1]):
                return f"first at {name}: mean, std, largest {ours}, originally {wanted}"
    return "no end point's statistics differ by a thousandth"


@pytest.mark.parametrize(
    "name",
    checks.networks(
        "test_logits_equal_the_originals", "logits", reference.names(reference.GOLDENS)
    ),
)
def test_logits_equal_the_originals(name):
    network, golden = builds.network(name), reference.golden(name)
    images = tf.constant(reference.images(reference.layout(name)["input_shape"]))
    logits, end_points = network.function(images)
    difference = np.abs(logits.numpy() - golden["logits"]).max() / golden["logits"].std()
    assert difference <= LOGITS, first_divergence(golden, end_points)
    assert "no end point" in first_divergence(golden, end_points)


def training_step(network, classes, reference_step):
    """Returns the numbers of a step of gradient descent, and takes it."""
    store = network.store
    trained = {k: v for k, v in store.named_variables.items() if store.records[k].trainable}
    labels = tf.one_hot(reference_step["labels"], classes)
    smoothing = reference_step["label_smoothing"]

    @tf.function(autograph=False)
    def step(images):
        with tf.GradientTape() as tape, store.as_default():
            logits, end_points = network.build(images)
            cross_entropy = slim.losses.softmax_cross_entropy(
                logits, labels, label_smoothing=smoothing
            )
            auxiliary = tf.zeros([])
            if "AuxLogits" in end_points:
                auxiliary = slim.losses.softmax_cross_entropy(
                    end_points["AuxLogits"], labels, reference_step["aux_weight"], smoothing
                )
            penalty = tf.add_n(slim.losses.get_regularization_losses())
            total = slim.losses.get_total_loss()
        gradients = tape.gradient(total, trained)
        for key, variable in trained.items():
            variable.assign_sub(reference_step["learning_rate"] * gradients[key])
        losses = {
            "cross_entropy": cross_entropy,
            "aux_loss": auxiliary,
            "regularization_loss": penalty,
            "total_loss": total,
        }
        return losses, {key: tf.norm(gradient) for key, gradient in gradients.items()}

    return step(tf.constant(reference.images([reference_step["batch"], *network.images.shape[1:]])))


@pytest.mark.parametrize(
    "name",
    checks.networks(
        "test_training_step_equals_the_originals", "training", reference.names(reference.TRAINING)
    ),
)
def test_training_step_equals_the_originals(name):
    wanted, layout = reference.training(name), reference.layout(name)
    takes = inspect.signature(nets_factory.NETWORKS[name].build).parameters
    no_dropout = {"dropout_keep_prob": 1.0} if "dropout_keep_prob" in takes else {}
    network = builds.network(name, is_training=True, **no_dropout)
    losses, norms = training_step(network, layout["num_classes"], wanted)
    for key, loss in losses.items():
        assert float(loss) == pytest.approx(wanted[key], rel=1e-4), key
    assert set(norms) == set(wanted["gradient_norms"])
    for key, norm in norms.items():
        assert float(norm) == pytest.approx(wanted["gradient_norms"][key], rel=1e-2, abs=1e-6), key
    after = wanted["variables_after_step_mean_std"]
    assert set(network.store.named_variables) == set(after)
    for key, variable in network.store.named_variables.items():
        mean, deviation = after[key]
        scale = max(abs(mean), abs(deviation), 1e-3)
        value = variable.numpy()
        assert abs(value.mean() - mean) <= 1e-3 * scale, key
        assert abs(value.std() - deviation) <= 1e-3 * scale, key
