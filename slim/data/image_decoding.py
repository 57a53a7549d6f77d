"""Decodes an image file to the pixels that a converted dataset has, in TensorFlow operations.

`datasets.images.prepare` does the same with Pillow; a test compares both on all formats and modes.
The functions do not check limits: call `image_header.bounded` first.
"""

import tensorflow as tf

from slim import _decodings
from slim.data import bmp_pixels, compositing, gif_frame, image_orientation, rare

_GRAY_DEPTH = 16  # of a PNG whose transparent value Pillow ignores
# Pillow's weights of red, green and blue, in units of 2 ** -16.
_LUMA = (19595, 38470, 7471)


def decode(
    contents: tf.Tensor, channels: int, decoding: _decodings.Decoding = _decodings.TF_SLIM
) -> tf.Tensor:
    """Returns the pixels of an image file, uint8 [height, width, channels].

    Args:
      contents: a scalar string, the bytes of a JPEG, PNG, BMP, WebP or GIF (its first frame).
      channels: 1 (grayscale) or 3 (RGB); images are converted.
      decoding: which pixels; see `slim._decodings`.

    Raises:
      InvalidArgumentError: at run time, if the image cannot be decoded.
    """
    if decoding == _decodings.TF_SLIM:
        pixels = _as_tf_slim(contents, channels)
    else:
        pixels = _on_white(contents, channels)
        if decoding == _decodings.UPRIGHT:
            pixels = image_orientation.upright(pixels, contents)
    return tf.ensure_shape(pixels, [None, None, channels])


def _as_tf_slim(contents: tf.Tensor, channels: int) -> tf.Tensor:
    """Returns what `tf.io.decode_image` does, which has one channel only for PNG and most JPEGs."""
    if channels != 1:
        return tf.io.decode_image(contents, channels=channels, expand_animations=False)
    is_jpeg = tf.cond(
        tf.io.is_jpeg(contents), lambda: ~_is_cmyk(contents), lambda: tf.constant(False)
    )
    return tf.cond(
        is_jpeg | tf.equal(tf.strings.substr(contents, 0, 4), b"\x89PNG"),
        lambda: tf.io.decode_image(contents, channels=1, expand_animations=False),
        lambda: tf.image.rgb_to_grayscale(
            tf.io.decode_image(contents, channels=3, expand_animations=False)
        ),
    )


def _on_white(contents: tf.Tensor, channels: int) -> tf.Tensor:
    return tf.cond(
        tf.io.is_jpeg(contents),
        lambda: _jpeg(contents, channels),
        lambda: rare.call(_other, contents, channels=channels),
    )


def _jpeg(contents: tf.Tensor, channels: int) -> tf.Tensor:
    if channels == 3:
        return tf.io.decode_jpeg(contents, channels=3)
    return tf.cond(
        _is_cmyk(contents),
        lambda: _gray(tf.io.decode_jpeg(contents, channels=3)),
        lambda: tf.io.decode_jpeg(contents, channels=1),
    )


def _other(contents: tf.Tensor, channels: int) -> tf.Tensor:
    """Decodes any other format than JPEG."""

    def converted(rgb: tf.Tensor) -> tf.Tensor:
        return rgb if channels == 3 else _gray(rgb)

    readers = {
        b"\x89PNG": _png,
        b"GIF8": gif_frame.decode,
        b"BM": bmp_pixels.decode,
        b"RIFF": _webp,
    }
    return tf.case(  # in a plain graph, tf.switch_case would add functions
        [
            (
                tf.equal(tf.strings.substr(contents, 0, len(start)), start),
                lambda read=read: converted(read(contents)),
            )
            for start, read in readers.items()
        ],
        default=lambda: tf.io.decode_image(contents, channels, expand_animations=False),  # fails
    )


def _webp(contents: tf.Tensor) -> tf.Tensor:
    # With alpha or without, whatever number of channels is requested.
    image = tf.io.decode_image(contents, channels=0, expand_animations=False)
    return tf.cond(
        tf.equal(tf.shape(image)[2], 4),
        lambda: compositing.on_white(tf.ensure_shape(image, [None, None, 4])),
        lambda: tf.ensure_shape(image, [None, None, 3]),
    )


def _png(contents: tf.Tensor) -> tf.Tensor:
    depth, color = tf.unstack(tf.io.decode_raw(contents, tf.uint8, fixed_length=26)[24:])
    is_deep_gray = tf.equal(depth, _GRAY_DEPTH) & tf.equal(color, 0)
    before_pixels = tf.raw_ops.StringSplitV2(input=[contents], sep=b"IDAT", maxsplit=1).values[0]
    parts = tf.raw_ops.StringSplitV2(input=[before_pixels], sep=b"tRNS", maxsplit=1)
    has_alpha = (color >= 4) | ((parts.shape[1] > 1) & ~is_deep_gray)
    return tf.cond(
        has_alpha,
        lambda: compositing.on_white(tf.io.decode_png(contents, channels=4)),
        lambda: tf.io.decode_png(contents, channels=3),
    )


def _is_cmyk(contents: tf.Tensor) -> tf.Tensor:
    return tf.equal(tf.image.extract_jpeg_shape(contents)[2], 4)


def _gray(rgb: tf.Tensor) -> tf.Tensor:
    total = tf.reduce_sum(tf.cast(rgb, tf.int32) * _LUMA, axis=-1, keepdims=True)
    return tf.cast(tf.bitwise.right_shift(total + (1 << 15), 16), tf.uint8)
