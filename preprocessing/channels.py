"""Conversion to the one or three channels that a network expects."""

import tensorflow as tf

from slim._shapes import static_sizes


def convert(image: tf.Tensor, use_grayscale: bool) -> tf.Tensor:
    """Returns the image with one channel if `use_grayscale`, otherwise with three.

    Args:
      image: `[height, width, channels]` with 1 or 3 channels, known when traced.
      use_grayscale: whether to convert to one channel.
    """
    if use_grayscale:
        return as_grayscale(image)
    return tf.image.grayscale_to_rgb(image) if static_sizes(image)[-1] == 1 else image


def as_grayscale(image: tf.Tensor) -> tf.Tensor:
    """Returns the image with one channel."""
    return image if static_sizes(image)[-1] == 1 else tf.image.rgb_to_grayscale(image)
