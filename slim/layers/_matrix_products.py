"""Convolutions of a training step on a CPU, as matrix products where those are faster.

A convolution is one product, and so are its gradients, if its kernel is 1x1 or covers the whole
image, as VGG's first fully connected layer. The gradient of other kernels with respect to the
weights is one product for each position in the kernel. oneDNN's products are faster than its
convolutions (Zen 4, AVX-512) in the cases that `_choose` lists.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from slim.graph import in_graph
from slim.layers import _half_precision as half_precision
from slim.passes import current_pass


@dataclasses.dataclass(frozen=True)
class _Products:
    """Which of a convolution's three computations are products."""

    outputs: bool = False
    gradient_of_inputs: bool = False
    gradient_of_weights: bool = False


def convolve(
    inputs: tf.Tensor,
    weights: Any,
    strides: Sequence[int],
    padding: str,
    data_format: str,
    rates: Sequence[int],
    name: str | None = None,
) -> tf.Tensor:
    """Returns `tf.nn.convolution` of the same arguments, to rounding."""
    products = _Products()
    if data_format == "NHWC" and {*strides, *rates} == {1} and _in_training_step_on_cpu():
        products = _choose(inputs, weights, padding)
    if products == _Products():
        return tf.nn.convolution(inputs, weights, strides, padding, data_format, rates, name=name)

    @tf.custom_gradient
    def convolution(
        inputs: tf.Tensor, weights: tf.Tensor
    ) -> tuple[tf.Tensor, Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]]]:
        def gradients(upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            if products.gradient_of_inputs:
                of_inputs = _gradient_of_inputs(inputs, weights, upstream)
            else:
                of_inputs = tf.nn.conv2d_transpose(upstream, weights, tf.shape(inputs), 1, padding)
            return of_inputs, _gradient_of_weights(inputs, weights, upstream, padding)

        if products.outputs:
            return _outputs(inputs, weights), gradients
        return tf.nn.conv2d(inputs, weights, 1, padding), gradients

    return convolution(inputs, tf.convert_to_tensor(weights))


def _in_training_step_on_cpu() -> bool:
    return not in_graph() and current_pass().step is not None and half_precision.on_cpu()


def _choose(inputs: tf.Tensor, weights: tf.Tensor, padding: str) -> _Products:
    """Returns the faster of products and convolutions, from measurements of 49 layers."""
    *kernel, channels, outputs = weights.shape
    height, width = inputs.shape[1:3]
    if inputs.dtype not in (tf.float32, tf.bfloat16) or None in (height, width):
        return _Products()
    half = inputs.dtype == tf.bfloat16
    if kernel == [1, 1]:
        if half:
            return _Products(gradient_of_weights=height * width <= 28 * 28)
        return _Products(True, channels > outputs, True)
    if kernel == [height, width] and padding == "VALID":
        return _Products(True, True, True)
    small = max(height, width) <= (8 if half else 7) and max(kernel) <= 3
    return _Products(gradient_of_weights=small and (half or min(channels, outputs) >= 256))


def _rows(tensor: tf.Tensor, width: int) -> tf.Tensor:
    return tf.reshape(tensor, [-1, width])


def _outputs(inputs: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    height, width, channels, outputs = weights.shape
    pixels = _rows(inputs, height * width * channels)
    size = 1 + inputs.shape[1] - height, 1 + inputs.shape[2] - width
    return tf.reshape(pixels @ _rows(weights, outputs), [-1, *size, outputs])


def _gradient_of_inputs(inputs: tf.Tensor, weights: tf.Tensor, upstream: tf.Tensor) -> tf.Tensor:
    outputs = weights.shape[-1]
    rows = tf.matmul(_rows(upstream, outputs), _rows(weights, outputs), transpose_b=True)
    return tf.reshape(rows, [-1, *inputs.shape[1:]])


def _gradient_of_weights(
    inputs: tf.Tensor, weights: tf.Tensor, upstream: tf.Tensor, padding: str
) -> tf.Tensor:
    height, width, channels, outputs = weights.shape
    rows, size = _rows(upstream, outputs), tf.shape(upstream)
    if padding == "SAME" and (height, width) != (1, 1):
        top, left = (height - 1) // 2, (width - 1) // 2
        borders = [(0, 0), (top, height - 1 - top), (left, width - 1 - left), (0, 0)]
        inputs = tf.pad(inputs, borders)
    if (height, width) in [(1, 1), tuple(inputs.shape[1:3])]:
        pixels = _rows(inputs, height * width * channels)
        return tf.reshape(tf.matmul(pixels, rows, transpose_a=True), weights.shape)

    def product(y: int, x: int) -> tf.Tensor:
        seen = inputs[:, y : y + size[1], x : x + size[2]]
        return tf.matmul(_rows(seen, channels), rows, transpose_a=True)

    products = [product(y, x) for y in range(height) for x in range(width)]
    return tf.reshape(tf.stack(products), weights.shape)
