"""Training steps in bare TensorFlow: its operations, a gradient tape and its RMSProp kernel."""

import os
from collections.abc import Callable
from typing import Any

os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

import numpy as np
import protocol
import tensorflow as tf

_BATCH_NORM = {"epsilon": 1e-3, "exponential_avg_factor": 1.0, "is_training": True}


class Layers:
    """Layers that create their variables in the first pass and reuse them in order."""

    def __init__(self) -> None:
        self.weights: list[tf.Variable] = []
        self.averages: list[tf.Variable] = []
        self._next = [0, 0]

    def begin(self) -> None:
        """Begins a pass."""
        self._next = [0, 0]

    def _variable(self, is_average: bool, initial: Callable[[], Any]) -> tf.Variable:
        variables = self.averages if is_average else self.weights
        self._next[is_average] += 1
        if self._next[is_average] > len(variables):
            with tf.init_scope():
                variables.append(tf.Variable(initial(), trainable=not is_average))
        return variables[self._next[is_average] - 1]

    def kernel(self, shape: list[int]) -> tf.Variable:
        """Returns random weights."""
        scale = np.sqrt(2 / np.prod(shape[:-1]))
        return self._variable(False, lambda: tf.random.truncated_normal(shape, stddev=scale))

    def batch_norm(self, net: tf.Tensor) -> tf.Tensor:
        """Normalizes a batch and updates the moving averages."""
        depth = net.shape[-1]
        scale, offset = (self._variable(False, lambda v=v: tf.fill([depth], v)) for v in (1.0, 0.0))
        net, *values = tf.raw_ops.FusedBatchNormV3(
            x=net, scale=scale, offset=offset, mean=[], variance=[], **_BATCH_NORM
        )[:3]
        for value in values:
            average = self._variable(True, lambda: tf.zeros([depth]))
            average.assign_sub(0.003 * (average - value))
        return net

    def conv(self, net: tf.Tensor, depth: int, size: int, stride: int = 1) -> tf.Tensor:
        """Convolution and batch norm; with a stride, padded by half of the kernel."""
        kernel = self.kernel([size, size, net.shape[-1], depth])
        return self.batch_norm(_strided(tf.nn.conv2d, net, kernel, size, stride))

    def depthwise(self, net: tf.Tensor, stride: int) -> tf.Tensor:
        """Depthwise 3 x 3 convolution and batch norm."""
        kernel = self.kernel([3, 3, net.shape[-1], 1])
        strides = [1, stride, stride, 1]
        return self.batch_norm(tf.nn.depthwise_conv2d(net, kernel, strides, "SAME"))


def _strided(
    conv: Callable[..., tf.Tensor], net: tf.Tensor, kernel: tf.Variable, size: int, stride: int
) -> tf.Tensor:
    if stride > 1:
        half = (size - 1) // 2
        net = tf.pad(net, [[0, 0], [half, half], [half, half], [0, 0]])
    return conv(net, kernel, stride, "SAME" if stride == 1 else "VALID")


def resnet_v1_50(layers: Layers, net: tf.Tensor) -> tf.Tensor:
    """ResNet-50 with TF-Slim's strides, without the logits."""
    net = tf.nn.max_pool2d(tf.nn.relu(layers.conv(net, 64, 7, 2)), 3, 2, "SAME")
    for depth, units, last_stride in ((64, 3, 2), (128, 4, 2), (256, 6, 2), (512, 3, 1)):
        for number in range(units):
            stride = last_stride if number == units - 1 else 1
            if number == 0:
                shortcut = layers.conv(net, 4 * depth, 1)
            else:
                shortcut = net if stride == 1 else net[:, ::stride, ::stride]
            net = tf.nn.relu(layers.conv(net, depth, 1))
            net = tf.nn.relu(layers.conv(net, depth, 3, stride))
            net = tf.nn.relu(shortcut + layers.conv(net, 4 * depth, 1))
    return net


def mobilenet_v1(layers: Layers, net: tf.Tensor) -> tf.Tensor:
    """MobileNet v1 without the logits."""
    net = tf.nn.relu6(layers.conv(net, 32, 3, 2))
    blocks = [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2)]
    for depth, stride in (*blocks, *[(512, 1)] * 5, (1024, 2), (1024, 1)):
        net = tf.nn.relu6(layers.depthwise(net, stride))
        net = tf.nn.relu6(layers.conv(net, depth, 1))
    return net


_NETWORKS = {"resnet_v1_50": resnet_v1_50, "mobilenet_v1": mobilenet_v1}


def prepare(
    function: str, size: int, batch: int, dtype: str, mode: str, options: Any
) -> tuple[protocol.Run, dict[str, Any]]:
    """Prepares a training step.

    Args:
      function: the network's name.
      size: height and width of its images.
      batch: number of images.
      dtype: float32.
      mode: "train".
      options: of the training, see `benchmarks/training.py`.
    """
    if (dtype, mode) != ("float32", "train"):
        raise ValueError(f"bare TensorFlow trains in float32 only, not {mode} in {dtype}")
    network, layers = _NETWORKS[function], Layers()
    images = tf.random.uniform([batch, size, size, 3], -1, 1)
    labels = tf.random.uniform([batch], 0, options["classes"], tf.int64)

    def loss() -> tf.Tensor:
        layers.begin()
        net = tf.reduce_mean(network(layers, images), [1, 2])
        logits = net @ layers.kernel([net.shape[-1], options["classes"]])
        logits += layers.kernel([options["classes"]])
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
        kernels = [w for w in layers.weights if len(w.shape) > 1 and w.shape[-1] > 1]
        return tf.reduce_mean(losses) + options["weight_decay"] * sum(map(tf.nn.l2_loss, kernels))

    tf.function(loss, autograph=False).get_concrete_function()  # creates the variables
    slots = [[tf.Variable(tf.fill(w.shape, v)) for v in (1.0, 0.0)] for w in layers.weights]

    @tf.function(autograph=False)
    def step() -> tf.Tensor:
        with tf.GradientTape() as tape:
            total = loss()
        gradients = tape.gradient(total, layers.weights)
        for weight, (square, momentum), gradient in zip(
            layers.weights, slots, gradients, strict=True
        ):
            tf.raw_ops.ResourceApplyRMSProp(
                var=weight.handle, ms=square.handle, mom=momentum.handle, grad=gradient,
                lr=options["learning_rate"], rho=options["decay"],
                momentum=options["momentum"], epsilon=options["epsilon"],
            )  # fmt: skip
        return total

    parameters = sum(int(np.prod(weight.shape)) for weight in layers.weights)
    return protocol.repeated(lambda: step().numpy()), {"parameters": parameters}


if __name__ == "__main__":
    protocol.serve(prepare)
