"""Recognizes in a graph, with few operations, images that need no further check.

Most images are a JPEG as libjpeg writes it without options, or a small PNG. Their sides are at
fixed offsets, and nothing in them has to be counted.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from slim import _image_limits as limits


class _Layout(NamedTuple):
    """The first bytes of such an image.

    Attributes:
      parts: fixed bytes, each with their offset.
      sides: offsets of the bytes of width and height.
      weights: value of each of these bytes.
      size: maximum size of the image in bytes.
    """

    parts: tuple[tuple[int, bytes], ...]
    sides: tuple[tuple[int, ...], tuple[int, ...]]
    weights: tuple[int, ...]
    size: int


def _jpeg_layout(segments: str, frame: int, scan: int) -> _Layout:
    """Returns the layout of a JPEG with one scan, as libjpeg writes it without options.

    Args:
      segments: marker and length of each segment, in hexadecimal digits.
      frame: offset of the segment with the sides.
      scan: offset of the first scan.
    """
    parts, at = [(0, b"\xff\xd8")], 2
    for segment in map(bytes.fromhex, segments.split()):
        parts.append((at, segment))
        at += 2 + int.from_bytes(segment[2:4], "big")
    components = 3 if scan > 400 else 1
    parts += [(frame + 9, bytes([components])), (scan + 4, bytes([components]))]
    sides = (frame + 7, frame + 8) * 2, (frame + 5, frame + 6) * 2
    return _Layout(tuple(parts), sides, (1 << 8, 1, 0, 0), limits.METADATA_BYTES)


_PNG = b"\x89PNG"
_PNG_HEADER_BYTES = 29  # to the end of width, height, depth, color type and interlacing
_LAYOUT_BYTES = 1024
_HUFFMAN = "ffc4001f ffc400b5"
_LAYOUTS = (
    _Layout(
        ((0, _PNG),),
        ((16, 17, 18, 19), (20, 21, 22, 23)),
        (1 << 24, 1 << 16, 1 << 8, 1),
        limits.TEXTS_FROM_BYTES,
    ),
    _jpeg_layout(f"ffe00010 ffdb0043 ffdb0043 ffc00011 {_HUFFMAN} {_HUFFMAN} ffda000c", 158, 609),
    _jpeg_layout(f"ffe00010 ffdb0043 ffc0000b {_HUFFMAN} ffda0008", 89, 318),
)
_FILLED = [
    [(at + n, byte) for at, part in layout.parts for n, byte in enumerate(part)]
    for layout in _LAYOUTS
]
_LONGEST = max(map(len, _FILLED))
# Tables with one row per layout; shorter ones repeat their last byte.
_LAYOUT_OFFSETS = [
    [offset for offset, _ in (row + row[-1:] * _LONGEST)[:_LONGEST]] for row in _FILLED
]
_LAYOUT_VALUES = np.array(
    [[value for _, value in (row + row[-1:] * _LONGEST)[:_LONGEST]] for row in _FILLED], np.uint8
)
_LAYOUT_SIDES = [layout.sides for layout in _LAYOUTS]
_LAYOUT_WEIGHTS = [[layout.weights] for layout in _LAYOUTS]
_LAYOUT_SIZES = [layout.size for layout in _LAYOUTS]


def is_plain(contents: tf.Tensor, max_pixels: int) -> tf.Tensor:
    """Returns whether an image has one of the layouts and is within all limits.

    Args:
      contents: the encoded image, a scalar string, or a vector of several.
      max_pixels: maximum number of pixels.

    Returns:
      a boolean tensor of the same shape.
    """
    start = tf.io.decode_raw(contents, tf.uint8, fixed_length=_LAYOUT_BYTES)
    if contents.shape.rank:
        start = tf.transpose(start)  # rows are gathered faster than columns

    def table(values: Sequence[Any] | np.ndarray) -> np.ndarray:
        array = np.asarray(values)
        return array.reshape(array.shape + (1,) * contents.shape.rank)

    parts = tf.gather(start, _LAYOUT_OFFSETS)
    is_layout = tf.reduce_all(tf.equal(parts, table(_LAYOUT_VALUES)), axis=1)
    sides = tf.cast(tf.gather(start, _LAYOUT_SIDES), tf.float64) * table(_LAYOUT_WEIGHTS)
    pixels = tf.reduce_prod(tf.reduce_sum(sides, axis=2), axis=1)
    is_small = tf.strings.length(contents) <= table(_LAYOUT_SIZES)
    return tf.reduce_any(is_layout & is_small & (pixels <= max_pixels), axis=0)


def are_alike(contents: tf.Tensor) -> tf.Tensor:
    """Returns whether all images are PNG files of one size and kind of pixels.

    Args:
      contents: the encoded images, strings [number].
    """
    headers = tf.strings.substr(contents, 0, _PNG_HEADER_BYTES)
    is_png = tf.equal(tf.strings.substr(headers[0], 0, len(_PNG)), _PNG)
    return is_png & tf.reduce_all(tf.equal(headers, headers[0]))
