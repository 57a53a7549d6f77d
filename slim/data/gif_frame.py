"""Decodes the first frame of a GIF in TensorFlow operations, with transparency on white.

`tf.io.decode_gif` has no transparency, and its canvas is the largest frame.
"""

import tensorflow as tf

from slim.data import gif_blocks

_WHITE = b"\xff\xff\xff"


def decode(contents: tf.Tensor) -> tf.Tensor:
    """Returns the pixels of the first frame on the canvas, uint8 RGB [height, width, 3].

    Args:
      contents: a scalar string, a GIF within the limits of `image_header`.
    """
    frame = gif_blocks.first_frame(contents)
    size = tf.strings.length(contents)
    white = tf.minimum(frame.palette + 3 * frame.transparent, tf.cast(size, tf.int64) - 3)
    # The transparent color becomes white in the color table, which needs no decoder.
    painted = tf.where(
        frame.transparent >= 0,
        tf.strings.join([_part(contents, 0, white), _WHITE, _part(contents, white + 3)]),
        contents,
    )
    # A file with this frame alone, at the origin, and without the extensions before it.
    alone = tf.strings.join(
        [
            _part(painted, 0, frame.first_block),
            b",\0\0\0\0",
            _part(painted, frame.start + 5, frame.end),
            b";",
        ]
    )
    pixels = tf.ensure_shape(tf.io.decode_gif(alone)[0], [None, None, 3])
    first_color = tf.io.decode_raw(_part(painted, frame.palette, frame.palette + 3), tf.uint8)
    background = tf.where(frame.transparent >= 0, tf.constant(255, tf.uint8), first_color)
    shape = tf.shape(pixels, tf.int64)[:2]
    canvas = tf.maximum(frame.canvas, frame.corner + shape)
    padding = tf.concat(
        [tf.stack([frame.corner, canvas - frame.corner - shape], axis=1), [[0, 0]]], 0
    )

    def padded() -> tf.Tensor:
        inside = tf.pad(tf.ones_like(pixels[..., :1], tf.bool), padding)
        return tf.where(inside, tf.pad(pixels, padding), background)

    return tf.cond(tf.reduce_all(tf.equal(padding, 0)), lambda: pixels, padded)


def _part(contents: tf.Tensor, start: int | tf.Tensor, end: tf.Tensor | None = None) -> tf.Tensor:
    size = tf.cast(tf.strings.length(contents), tf.int64)
    first = tf.clip_by_value(tf.cast(start, tf.int64), 0, size)
    last = size if end is None else end
    return tf.strings.substr(contents, first, tf.maximum(last - first, 0))
