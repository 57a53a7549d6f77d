"""Static shapes."""

from typing import Any

import tensorflow as tf


def static_sizes(tensor: Any) -> list[int | None]:
    """Returns the static sizes of a tensor, an array or a Keras tensor; None where unknown.

    Unlike `tensor.shape[i]`, these are numbers after TensorFlow 1's `disable_v2_behavior()` too,
    where that is a `Dimension` object.
    """
    return tf.TensorShape(tensor.shape).as_list()
