"""Checks the limits of `slim._image_limits` in a graph, before an image is decoded.

The check of a JPEG takes about 40 microseconds.
"""

from typing import NamedTuple

import tensorflow as tf

from slim import _image_limits as limits
from slim.data import gif_blocks, image_layouts, rare
from slim.graph import in_graph

_BEGIN, _END = "<<slim-image|", "|slim-image>>"
# Messages by `_Header.problem`: a template and the names of its values.
_PROBLEMS = (
    ("", ()),
    (limits.TOO_MANY_PIXELS, ("width", "height", "limit")),
    (limits.TOO_MANY_BYTES, ("size", "width", "height", "limit")),
    (limits.TOO_MANY_SCANS, ("size", "width", "height", "limit")),
    (limits.TOO_MANY_TEXTS, ("size", "limit")),
    (limits.TOO_MANY_BLOCKS, ()),
    (limits.TOO_MANY_FRAMES, ("size", "limit")),
    (limits.JPEG_XL, ()),
    (limits.UNKNOWN_SIZE, ("size", "limit")),
    (limits.NO_IMAGE, ()),
)
_NAMES = ("width", "height", "size", "limit", "")
# The same with a fixed number of columns: the text before each value, and the values.
_TEXTS_AROUND = [(text.split("{}") + [""] * 4)[:5] for text, _ in _PROBLEMS]
_SLOTS = [[_NAMES.index(name) for name in (*names, *[""] * 5)[:5]] for _, names in _PROBLEMS]
_PIXELS, _BYTES, _SCANS, _TEXTS, _BLOCKS, _FRAMES, _XL, _UNKNOWN, _NO_IMAGE = range(
    1, len(_PROBLEMS)
)
_PREFIX = 32  # bytes: those that contain the sides of all formats but JPEG and GIF, and a spare one


class _Kind(NamedTuple):
    """How a format encodes its width and height.

    Attributes:
      signature: bytes that identify the format, each with their offset.
      offsets: of the bytes of width and height, lowest byte first; the spare byte is 0.
      divisors: width and height are first divided by these,
      modulus: then reduced modulo this,
      plus: then increased by this.
    """

    signature: tuple[tuple[int, bytes], ...]
    offsets: tuple[tuple[int, ...], tuple[int, ...]]
    divisors: tuple[int, int] = (1, 1)
    modulus: int = 1 << 32
    plus: int = 0


_WEBP, _ZERO = ((0, b"RIFF"), (8, b"WEBP")), _PREFIX - 1
_KINDS = (
    _Kind(((0, b"\x89PNG"),), ((19, 18, 17, 16), (23, 22, 21, 20))),
    _Kind(  # a BMP of OS/2
        ((0, b"BM"), (14, b"\x0c\0\0\0")), ((18, 19, _ZERO, _ZERO), (20, 21, _ZERO, _ZERO))
    ),
    _Kind(((0, b"BM"),), ((18, 19, 20, 21), (22, 23, 24, 25))),
    _Kind((*_WEBP, (12, b"VP8X")), ((24, 25, 26, _ZERO), (27, 28, 29, _ZERO)), plus=1),
    _Kind((*_WEBP, (12, b"VP8L")), ((21, 22, 23, 24),) * 2, (1, 1 << 14), 1 << 14, plus=1),
    _Kind(
        (*_WEBP, (12, b"VP8 ")), ((26, 27, _ZERO, _ZERO), (28, 29, _ZERO, _ZERO)), modulus=1 << 14
    ),
)
_SIGNED = 2  # index of BMP, in which a negative height reverses the order of rows


class _Header(NamedTuple):
    """Result of the checks; int64.

    Attributes:
      problem: index in `_PROBLEMS`; 0 if the image may be decoded.
      sides: width and height in pixels, [2].
      size: value that was compared with the limit.
      limit: the limit that was exceeded.
      contents: the bytes to decode; a string.
    """

    problem: tf.Tensor
    sides: tf.Tensor
    size: tf.Tensor
    limit: tf.Tensor
    contents: tf.Tensor


@tf.autograph.experimental.do_not_convert  # Conversion takes seconds.
def bounded(contents: tf.Tensor, max_pixels: int | None = limits.MAX_PIXELS) -> tf.Tensor:
    """Returns the bytes to decode: `contents`, or the first frame of a GIF.

    Args:
      contents: a scalar string, the encoded image.
      max_pixels: maximum number of pixels; None if the image was checked before.

    Raises:
      InvalidArgumentError: at run time, if the image exceeds a limit; see `find_problem`.
    """
    if max_pixels is None:
        return contents
    if in_graph() and not tf.inside_function():
        return _stop_or_keep(contents, max_pixels)

    def keep() -> tf.Tensor:
        return tf.identity(contents)

    return tf.cond(
        image_layouts.is_plain(contents, max_pixels),
        keep,
        lambda: rare.call(_keep_or_check, contents, max_pixels=max_pixels),
    )


def bounded_several(contents: tf.Tensor, max_pixels: int) -> tf.Tensor:
    """Returns `bounded` of each of several images, strings [number]; fast if all are plain."""

    return tf.cond(
        tf.reduce_all(image_layouts.is_plain(contents, max_pixels)),
        lambda: tf.identity(contents),
        lambda: rare.call(_each_bounded, contents, max_pixels=max_pixels),
    )


def inspect(
    contents: tf.Tensor, max_pixels: int = limits.MAX_PIXELS
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns why the image must not be decoded, or an empty string, and `bounded`'s result."""
    header = _read(contents, max_pixels)
    text = tf.cond(header.problem > 0, lambda: _text(header), lambda: tf.constant(""))
    return text, header.contents


def is_known(contents: tf.Tensor) -> tf.Tensor:
    """Returns whether each string starts like an image of a known format."""
    starts = [tf.strings.substr(contents, 0, len(start)) for start in limits.FORMATS]
    return tf.reduce_any(
        [tf.equal(*each) for each in zip(starts, limits.FORMATS, strict=True)], axis=0
    )


def find_problem(message: str) -> str | None:
    """Returns the reason in the message of a `bounded` error, or None for another error."""
    _, begin, rest = message.partition(_BEGIN)
    return rest.partition(_END)[0] if begin else None


def _keep_or_check(contents: tf.Tensor, max_pixels: int) -> tf.Tensor:
    has_few_scans = tf.cond(
        tf.io.is_jpeg(contents),
        lambda: _has_few_scans(contents, max_pixels),
        lambda: tf.constant(False),
    )
    return tf.cond(
        has_few_scans,
        lambda: tf.identity(contents),
        lambda: rare.call(_stop_or_keep, contents, max_pixels=max_pixels),
    )


def _each_bounded(contents: tf.Tensor, max_pixels: int) -> tf.Tensor:
    return tf.map_fn(lambda each: bounded(each, max_pixels), contents, parallel_iterations=1)


def _stop_or_keep(contents: tf.Tensor, max_pixels: int) -> tf.Tensor:
    header = _read(contents, max_pixels)

    def stop() -> tf.Tensor:
        message = tf.strings.join([_BEGIN, _text(header), _END])
        with tf.control_dependencies([tf.debugging.Assert(False, [message])]):
            return tf.identity(contents)

    return tf.cond(header.problem > 0, stop, lambda: tf.identity(header.contents))


traced_inspect = tf.function(inspect, autograph=False)


def _text(header: _Header) -> tf.Tensor:
    numbers = tf.concat([header.sides, [header.size, header.limit]], 0)
    values = tf.concat([tf.strings.as_string(numbers), [""]], 0)
    values = tf.gather(values, tf.constant(_SLOTS)[header.problem])
    texts = tf.constant(_TEXTS_AROUND)[header.problem]
    return tf.strings.reduce_join(tf.stack([texts, values], axis=1))


def _read(contents: tf.Tensor, max_pixels: int) -> _Header:
    size = tf.strings.length(contents)
    start = tf.strings.substr(contents, 0, 3)
    return _Header(
        *tf.cond(
            tf.equal(start, b"\xff\xd8\xff"),
            lambda: _read_jpeg(contents, size, max_pixels),
            lambda: tf.cond(
                tf.equal(start, b"GIF"),
                lambda: _read_gif(contents, size, max_pixels),
                lambda: _read_other(contents, size, max_pixels),
            ),
        )
    )


def _check(
    contents: tf.Tensor,
    sides: tf.Tensor,
    size: tf.Tensor,
    max_pixels: int,
    *others: tuple[int, tf.Tensor, tf.Tensor, int | tf.Tensor],
) -> _Header:
    """Returns the header with the first problem.

    Args:
      contents: the encoded image.
      sides: width and height, int64 [2].
      size: number of bytes.
      max_pixels: maximum number of pixels.
      *others: further problems: index, whether present, the compared value, its limit.
    """
    size = tf.cast(size, tf.int64)
    pixels = tf.reduce_prod(tf.minimum(sides, tf.constant(1 << 31, tf.int64)))  # no overflow
    with_frames = tf.reduce_any(tf.equal(tf.strings.substr(contents, 0, 4), limits.WITH_FRAMES))
    max_bytes = limits.METADATA_BYTES + limits.BYTES_PER_PIXEL * tf.where(
        with_frames, tf.constant(max_pixels, tf.int64), pixels
    )
    problem, limit = tf.constant(0, tf.int64), tf.constant(0, tf.int64)
    is_sized, is_image, is_large = tf.reduce_any(sides > 0), is_known(contents), size > max_bytes
    problems = (
        (_PIXELS, pixels > max_pixels, size, max_pixels),
        (_BYTES, is_large & is_sized, size, max_bytes),
        (_UNKNOWN, is_large & ~is_sized & is_image, size, max_bytes),
        *others,
        (_NO_IMAGE, is_large & ~is_sized & ~is_image, 0, 0),
    )
    for index, present, value, allowed in reversed(problems):
        problem = tf.where(present, tf.constant(index, tf.int64), problem)
        size = tf.where(present, tf.cast(value, tf.int64), size)
        limit = tf.where(present, tf.cast(allowed, tf.int64), limit)
    return _Header(problem, sides, size, limit, contents)


def _read_jpeg(contents: tf.Tensor, size: tf.Tensor, max_pixels: int) -> _Header:
    sides = tf.cast(tf.image.extract_jpeg_shape(contents)[1::-1], tf.int64)
    allowed = tf.minimum(
        tf.constant(limits.MAX_SCANS, tf.int64),
        limits.MIN_SCANS * max_pixels // tf.maximum(tf.reduce_prod(sides), 1),
    )
    scans = tf.cond(
        tf.cast(size, tf.int64) > limits.max_bytes(max_pixels),
        lambda: tf.constant(1, tf.int64),
        lambda: _count(contents, limits.SCAN, limits.MAX_SCANS),
    )
    too_many = (_SCANS, scans > allowed, allowed + 1, allowed)
    return _check(contents, sides, size, max_pixels, too_many)


def _has_few_scans(contents: tf.Tensor, max_pixels: int) -> tf.Tensor:
    """Returns whether a JPEG is within all limits, so small that it may have `MAX_SCANS`."""
    height, width, _ = tf.unstack(tf.cast(tf.image.extract_jpeg_shape(contents), tf.int64))
    most = limits.MIN_SCANS * max_pixels // limits.MAX_SCANS  # pixels with MAX_SCANS
    return (
        (_count(contents, limits.SCAN, limits.MAX_SCANS) <= limits.MAX_SCANS)
        & (width * height <= most)
        & (tf.strings.length(contents) < limits.METADATA_BYTES)
    )


def _count(contents: tf.Tensor, part: bytes, enough: int) -> tf.Tensor:
    """Returns the number of occurrences of `part`; above `enough`, it is not exact."""
    pieces = tf.raw_ops.StringSplitV2(input=[contents], sep=part, maxsplit=enough + 1)
    return pieces.shape[1] - 1


def _read_other(contents: tf.Tensor, size: tf.Tensor, max_pixels: int) -> _Header:
    start = tf.strings.substr(contents, 0, _PREFIX)
    start = tf.strings.substr(tf.strings.join([start, bytes(_PREFIX)]), 0, _PREFIX)
    head = tf.cast(tf.ensure_shape(tf.io.decode_raw(start, tf.uint8), [_PREFIX]), tf.int64)
    head *= [1] * _ZERO + [0]
    is_kind = tf.stack([_has(start, *kind.signature) for kind in _KINDS])
    is_known, kind = tf.reduce_any(is_kind), tf.argmax(is_kind)

    def of_kind(name: str) -> tf.Tensor:
        return tf.constant([getattr(each, name) for each in _KINDS], tf.int64)[kind]

    offsets = of_kind("offsets")  # [2, 4]: width, height
    sides = tf.reduce_sum(tf.gather(head, offsets) * (1, 1 << 8, 1 << 16, 1 << 24), axis=1)
    sides = tf.where(tf.equal(kind, _SIGNED), tf.minimum(sides, (1 << 32) - sides), sides)
    sides = sides // of_kind("divisors") % of_kind("modulus") + of_kind("plus")
    texts = tf.cond(
        is_known & tf.equal(kind, 0) & (size > limits.TEXTS_FROM_BYTES),
        lambda: _count(contents, limits.TEXT, limits.MAX_TEXTS),
        lambda: tf.constant(0, tf.int64),
    )
    too_many = (_TEXTS, texts > limits.MAX_TEXTS, limits.MAX_TEXTS + 1, limits.MAX_TEXTS)
    is_xl = tf.reduce_any([_has(start, (0, part)) for part in limits.JPEG_XL_STARTS])
    sides = tf.where(is_known, sides, 0)
    return _check(contents, sides, size, max_pixels, too_many, (_XL, is_xl, 0, 0))


def _has(start: tf.Tensor, *parts: tuple[int, bytes]) -> tf.Tensor:
    """Returns whether a string has all of these bytes at their offsets."""
    return tf.reduce_all(
        [tf.equal(tf.strings.substr(start, at, len(part)), part) for at, part in parts]
    )


def _read_gif(contents: tf.Tensor, size: tf.Tensor, max_pixels: int) -> _Header:
    gif = gif_blocks.walk(contents)
    header = _check(
        contents,
        tf.stack([gif.width, gif.height]),
        size,
        max_pixels,
        (_BLOCKS, ~gif.complete, 0, 0),
        (_FRAMES, gif.total > max_pixels, gif.total, max_pixels),
    )
    first = tf.strings.join(
        [tf.strings.substr(contents, tf.zeros_like(gif.first_end), gif.first_end), b";"]
    )
    return header._replace(contents=tf.where(gif.first_end > 0, first, contents))
