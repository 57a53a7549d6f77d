"""A least-squares line in a plain graph, small enough to be computed by hand."""

import numpy as np
import tensorflow as tf

v1 = tf.compat.v1
X = np.arange(4, dtype=np.float32)
Y = 2 * X + 1


def build(name="line"):
    """Returns the mean squared error of `slope * x + offset`, both from zero."""
    with v1.variable_scope(name):
        slope = v1.get_variable("slope", [], initializer=v1.zeros_initializer())
        offset = v1.get_variable("offset", [], initializer=v1.zeros_initializer())
    return tf.reduce_mean(tf.square(slope * X + offset - Y))


def gradients(slope=0.0, offset=0.0):
    """Returns the gradients of the loss by slope and offset."""
    error = slope * X + offset - Y
    return float(np.mean(2 * error * X)), float(np.mean(2 * error))


def descend(steps, rate):
    """Returns the losses before each step of gradient descent, and the final slope and offset."""
    slope = offset = 0.0
    losses = []
    for _ in range(steps):
        losses.append(float(np.mean((slope * X + offset - Y) ** 2)))
        by_slope, by_offset = gradients(slope, offset)
        slope, offset = slope - rate * by_slope, offset - rate * by_offset
    return losses, slope, offset
