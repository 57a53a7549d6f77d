"""Outputs of our networks with the recipe's weights, for use in a process without oneDNN."""

import inspect
from typing import Any

import numpy as np
import tensorflow as tf

import slim
from nets import nets_factory
from tests.conformance import builds, reference


def inference(name: str) -> tuple[np.ndarray, dict[str, list[float]]]:
    """Returns the logits, and mean, standard deviation and largest absolute value of end points."""
    images = tf.constant(reference.images(reference.layout(name)["input_shape"]))
    logits, end_points = builds.network(name).function(images)
    arrays = {key: value.numpy() for key, value in end_points.items()}
    return logits.numpy(), {
        key: [float(value.mean()), float(value.std()), float(np.abs(value).max())]
        for key, value in arrays.items()
    }


def training(name: str) -> dict[str, Any]:
    """Runs the record's training step and returns its numbers in the form of the record."""
    expected, classes = reference.training(name), reference.layout(name)["num_classes"]
    parameters = inspect.signature(nets_factory.NETWORKS[name].build).parameters
    no_dropout = {"dropout_keep_prob": 1.0} if "dropout_keep_prob" in parameters else {}
    network = builds.network(name, is_training=True, **no_dropout)
    variables, records = network.store.named_variables, network.store.records
    trained = {key: value for key, value in variables.items() if records[key].trainable}

    @tf.function(autograph=False)
    def step(images: tf.Tensor) -> Any:
        with tf.GradientTape() as tape, network.store.as_default():
            labels = tf.one_hot(expected["labels"], classes)
            losses = _losses(*network.build(images), labels, expected)
        gradients = tape.gradient(losses["total_loss"], trained)
        for key, variable in trained.items():
            variable.assign_sub(expected["learning_rate"] * gradients[key])
        return losses, {key: tf.norm(gradient) for key, gradient in gradients.items()}

    images = reference.images([expected["batch"], *network.images.shape[1:]])
    losses, norms = step(tf.constant(images))
    return {
        **{key: float(loss) for key, loss in losses.items()},
        "gradient_norms": {key: float(norm) for key, norm in norms.items()},
        "variables_after_step_mean_std": {
            key: [float(value.numpy().mean()), float(value.numpy().std())]
            for key, value in variables.items()
        },
    }


def _losses(
    logits: tf.Tensor, end_points: dict[str, tf.Tensor], labels: tf.Tensor, settings: dict[str, Any]
) -> dict[str, tf.Tensor]:
    smoothing = settings["label_smoothing"]
    cross_entropy = slim.losses.softmax_cross_entropy(logits, labels, label_smoothing=smoothing)
    auxiliary = tf.zeros([])
    if "AuxLogits" in end_points:
        auxiliary = slim.losses.softmax_cross_entropy(
            end_points["AuxLogits"], labels, settings["aux_weight"], smoothing
        )
    return {
        "cross_entropy": cross_entropy,
        "aux_loss": auxiliary,
        "regularization_loss": tf.add_n(slim.losses.get_regularization_losses()),
        "total_loss": slim.losses.get_total_loss(),
    }
