"""Decodes a BMP in TensorFlow operations: palettes and depths that `tf.io.decode_bmp` lacks."""

import tensorflow as tf

from slim.data import compositing

_HEAD = 70  # bytes, up to the masks of the channels
_OS2 = 12  # size of the header of OS/2
_PLAIN, _MASKS = 0, 3  # values of the field "compression"
_RED_MASK = (0, 0, 0xFF, 0)
_ALPHA_MASK = (0, 0, 0, 0xFF)
_BGR = (2, 1, 0)
_MASKS_AT, _ALPHA_AT, _WITH_ALPHA = 54, 66, 56


def decode(contents: tf.Tensor) -> tf.Tensor:
    """Returns the pixels of a BMP, uint8 RGB [height, width, 3], on white if it has alpha.

    1, 4, 8, 24 and 32 bits per pixel; others and compressed ones are left to TensorFlow.

    Args:
      contents: a scalar string.
    """
    head = tf.cast(tf.io.decode_raw(contents, tf.uint8, fixed_length=_HEAD), tf.int64)

    def number(at: int, size: int = 4) -> tf.Tensor:
        return tf.reduce_sum(head[at : at + size] * [256**place for place in range(size)])

    header = number(14)
    is_os2 = tf.equal(header, _OS2)
    width, height, depth = (
        tf.where(is_os2, number(old, 2), number(new, size))
        for old, new, size in ((18, 18, 4), (20, 22, 4), (24, 28, 2))
    )
    is_top_down = height >= 1 << 31
    height = tf.where(is_top_down, (1 << 32) - height, height)
    compression = tf.where(is_os2, tf.constant(_PLAIN, tf.int64), number(30))
    has_masks = tf.equal(compression, _MASKS) & tf.equal(depth, 32)
    has_masks &= tf.reduce_all(tf.equal(head[_MASKS_AT : _MASKS_AT + 4], _RED_MASK))
    has_alpha = has_masks & (header >= _WITH_ALPHA)
    has_alpha &= tf.reduce_all(tf.equal(head[_ALPHA_AT : _ALPHA_AT + 4], _ALPHA_MASK))

    def rows() -> tf.Tensor:
        row = (width * depth + 31) // 32 * 4
        data = tf.strings.substr(contents, tf.minimum(number(10), _length(contents)), row * height)
        pixels = tf.reshape(tf.io.decode_raw(data, tf.uint8), tf.stack([height, row]))
        return tf.cond(is_top_down, lambda: pixels, lambda: tf.reverse(pixels, [0]))

    def indexed() -> tf.Tensor:
        entry = 4 - tf.cast(is_os2, tf.int64)
        all_colors = tf.bitwise.left_shift(tf.constant(1, tf.int64), depth)
        colors = tf.where(tf.equal(number(46), 0) | is_os2, all_colors, number(46))
        colors = tf.minimum(colors, 256)
        start = tf.minimum(14 + header, _length(contents))
        palette = tf.io.decode_raw(tf.strings.substr(contents, start, colors * entry), tf.uint8)
        palette = tf.gather(tf.reshape(palette, tf.stack([-1, entry])), _BGR, axis=1)
        palette = tf.concat([palette, tf.zeros([256, 3], tf.uint8)], 0)
        bits = tf.cast(depth, tf.uint8)
        shifts = 8 - bits * tf.cast(tf.range(1, 8 // depth + 1), tf.uint8)
        indices = tf.bitwise.right_shift(rows()[..., tf.newaxis], shifts)
        indices = tf.bitwise.bitwise_and(indices, tf.cast(all_colors - 1, tf.uint8))
        indices = tf.reshape(indices, tf.stack([height, -1]))[:, :width]
        return tf.gather(palette, tf.cast(indices, tf.int32))

    def direct() -> tf.Tensor:
        size = depth // 8
        pixels = tf.reshape(rows()[:, : width * size], tf.stack([height, width, size]))
        rgb = tf.gather(pixels, _BGR, axis=2)
        return tf.cond(
            has_alpha,
            lambda: compositing.on_white(tf.concat([rgb, pixels[..., 3:]], -1)),
            lambda: rgb,
        )

    def other() -> tf.Tensor:
        return tf.io.decode_bmp(contents, channels=3)

    is_plain = tf.equal(compression, _PLAIN)
    is_indexed = is_plain & tf.reduce_any(tf.equal(depth, (1, 4, 8)))
    is_direct = has_masks | (is_plain & tf.reduce_any(tf.equal(depth, (24, 32))))
    return tf.cond(is_indexed, indexed, lambda: tf.cond(is_direct, direct, other))


def _length(contents: tf.Tensor) -> tf.Tensor:
    return tf.cast(tf.strings.length(contents), tf.int64)
