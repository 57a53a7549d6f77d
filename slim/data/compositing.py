"""Transparency composited on white, to the bit as Pillow does."""

import tensorflow as tf


def on_white(rgba: tf.Tensor) -> tf.Tensor:
    """Returns RGB pixels, uint8 [height, width, 3], of RGBA pixels, uint8 [height, width, 4]."""
    rgb, alpha = rgba[..., :3], rgba[..., 3:]

    def blend() -> tf.Tensor:
        # All values are integers below 2 ** 24, and thus exact. The product with 257 / 2 ** 16 is
        # the division by 255, rounded as Pillow rounds it.
        total = (tf.cast(rgb, tf.float32) - 255) * tf.cast(alpha, tf.float32) + (255 * 255 + 128)
        return tf.cast(total * (257 / 65536), tf.uint8)

    return tf.cond(tf.reduce_all(tf.equal(alpha, 255)), lambda: rgb, blend)
