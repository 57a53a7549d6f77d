"""One or three colour channels, as the network wants them."""

import tensorflow as tf


def as_wanted(image: tf.Tensor, use_grayscale: bool) -> tf.Tensor:
    """Returns the picture with one channel if `use_grayscale`, else with three.

    Args:
      image: `[height, width, channels]` with 1 or 3 channels, known when traced.
      use_grayscale: whether one channel is wanted.
    """
    if use_grayscale:
        return as_grayscale(image)
    return tf.image.grayscale_to_rgb(image) if image.shape[-1] == 1 else image


def as_grayscale(image: tf.Tensor) -> tf.Tensor:
    """Returns the picture with one channel."""
    return image if image.shape[-1] == 1 else tf.image.rgb_to_grayscale(image)
