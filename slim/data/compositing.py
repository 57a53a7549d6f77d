"""Transparency composited on white, to the bit as Pillow does."""

import tensorflow as tf


def on_white(rgba: tf.Tensor) -> tf.Tensor:
    """Returns RGB pixels, uint8 [height, width, 3], of RGBA pixels, uint8 [height, width, 4]."""
    rgb, alpha = rgba[..., :3], rgba[..., 3:]

    def blend() -> tf.Tensor:
        color, opacity = tf.cast(rgb, tf.uint16), tf.cast(alpha, tf.uint16)
        total = color * opacity + 255 * (255 - opacity) + 128
        # Divided by 255 and rounded, in 16 bits.
        total += tf.bitwise.right_shift(total, tf.constant(8, tf.uint16))
        return tf.cast(tf.bitwise.right_shift(total, tf.constant(8, tf.uint16)), tf.uint8)

    return tf.cond(tf.reduce_all(tf.equal(alpha, 255)), lambda: rgb, blend)
