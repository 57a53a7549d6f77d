"""Checkpoints as the original writes them: TensorFlow 1 graphs with the layouts' names."""

import pathlib
from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from tests.conformance import reference

tf1 = tf.compat.v1


def network_values(name: str) -> dict[str, np.ndarray]:
    """Returns the recipe's value of each variable of a network's layout."""
    rows = reference.layout(name)["variables"]
    return {key: reference.weights(key, shape) for key, shape, *_ in rows}


def run_values(name: str) -> dict[str, np.ndarray]:
    """Returns what a run of the original's with momentum and averages saves of a network."""
    values = network_values(name)
    slots = {f"{key}/Momentum": 0.5 * value for key, value in values.items()}
    averages = {f"{key}/ExponentialMovingAverage": 0.9 * v for key, v in values.items()}
    return {**values, **slots, **averages, "global_step": np.int64(1234)}


def published(folder: pathlib.Path, values: Mapping[str, np.ndarray]) -> str:
    """Writes variables under the name of a published checkpoint, whose network it need not be."""
    return write(folder / "resnet_v2_50_2017_04_14" / "resnet_v2_50.ckpt", values)


def write(prefix: pathlib.Path, values: Mapping[str, np.ndarray], version: str = "V2") -> str:
    """Writes variables with TensorFlow 1's Saver and returns the checkpoint's prefix.

    Args:
      prefix: of the checkpoint.
      values: by name.
      version: "V1" or "V2" of the format.
    """
    prefix.parent.mkdir(parents=True, exist_ok=True)
    with tf.Graph().as_default(), tf1.Session() as session:
        variables(values)
        session.run(tf1.global_variables_initializer())
        saver = tf1.train.Saver(write_version=getattr(tf1.train.SaverDef, version))
        return saver.save(session, str(prefix), write_meta_graph=False, write_state=False)


def variables(values: Mapping[str, np.ndarray]) -> dict[str, tf.Variable]:
    """Makes reference variables in the graph in force, as the original's layers do."""
    return {
        name: tf1.get_variable(name, initializer=value, use_resource=False)
        for name, value in values.items()
    }


def lenet(weights: Mapping[str, tf.Variable], images: np.ndarray) -> tf.Tensor:
    """Returns the logits of LeNet from plain operations.

    Args:
      weights: variables by name.
      images: [batch, 28, 28, 1].
    """
    net = images
    for layer in ("conv1", "conv2"):
        net = tf.nn.conv2d(net, weights[f"LeNet/{layer}/weights"], strides=1, padding="SAME")
        net = tf.nn.relu(net + weights[f"LeNet/{layer}/biases"])
        net = tf.nn.max_pool2d(net, 2, 2, "VALID")
    net = tf.reshape(net, [len(images), -1])
    net = tf.nn.relu(net @ weights["LeNet/fc3/weights"] + weights["LeNet/fc3/biases"])
    return net @ weights["LeNet/fc4/weights"] + weights["LeNet/fc4/biases"]
