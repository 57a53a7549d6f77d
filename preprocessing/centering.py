"""Cropping and padding of one image about its center.

Bit-identical to TensorFlow's functions with a fraction of their operations, which dominate the time
for small images.
"""

import tensorflow as tf

from slim._shapes import static_sizes


def crop_or_pad(image: tf.Tensor, height: int, width: int) -> tf.Tensor:
    """Equals `tf.image.resize_with_crop_or_pad`.

    Args:
      image: `[height, width, channels]`, the channels known when traced.
      height: height of the result.
      width: width of the result.
    """
    sizes, target = tf.shape(image)[:2], tf.constant([height, width])
    begin = tf.maximum(sizes - target, 0) // 2
    size = tf.concat([tf.minimum(sizes, target), [-1]], 0)
    padded = pad(tf.slice(image, tf.concat([begin, [0]], 0), size), height, width)
    return tf.ensure_shape(padded, [height, width, static_sizes(image)[-1]])


def pad(image: tf.Tensor, height: int, width: int, border: int = 0) -> tf.Tensor:
    """Pads an image with zeros to at least that size, and then by `border` on each side."""
    missing = tf.maximum(tf.constant([height, width, 0]) - tf.shape(image), 0)
    before = missing // 2
    borders = tf.constant([border, border, 0])
    padded = tf.pad(image, tf.stack([borders + before, borders + missing - before], axis=1))
    return tf.ensure_shape(padded, [None, None, static_sizes(image)[-1]])
