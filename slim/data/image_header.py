"""Checks the limits of `slim._image_limits` in a graph, before an image is decoded.

The check of a JPEG takes about 40 microseconds.
"""

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from slim import _image_limits as limits
from slim.graph_variables import in_plain_graph

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
)
_NAMES = ("width", "height", "size", "limit", "")
# The same as tables with a fixed number of columns: the text before each value, and the values.
_TEXTS_AROUND = [(text.split("{}") + [""] * 4)[:5] for text, _ in _PROBLEMS]
_SLOTS = [[_NAMES.index(name) for name in (*names, *[""] * 5)[:5]] for _, names in _PROBLEMS]
_PIXELS, _BYTES, _SCANS, _TEXTS, _BLOCKS, _FRAMES, _XL = range(1, len(_PROBLEMS))
_PREFIX = 32  # bytes: one more than have the sides of all formats but JPEG and GIF
# In so many bytes a JPEG has fewer than MAX_SCANS: one has 10 or more, and tables come first.
_SCANS_BYTES = 640


class _Layout(NamedTuple):
    """How the bytes of a kind of image begin, when nothing has to be counted in it.

    Attributes:
      parts: bytes with their places.
      sides: places of the bytes of width and height.
      weights: of these bytes.
      size: the most bytes of such an image.
    """

    parts: tuple[tuple[int, bytes], ...]
    sides: tuple[tuple[int, ...], tuple[int, ...]]
    weights: tuple[int, ...]
    size: int


def _jpeg_layout(segments: str, frame: int, scan: int) -> _Layout:
    """Returns the layout of a JPEG with one scan, as libjpeg writes it without options.

    Args:
      segments: marker and length of each segment, in hexadecimal digits.
      frame: place of the segment with the sides.
      scan: place of the first scan.
    """
    parts, at = [(0, b"\xff\xd8")], 2
    for segment in map(bytes.fromhex, segments.split()):
        parts.append((at, segment))
        at += 2 + int.from_bytes(segment[2:4], "big")
    components = 3 if scan > 400 else 1
    parts += [(frame + 9, bytes([components])), (scan + 4, bytes([components]))]
    sides = (frame + 7, frame + 8) * 2, (frame + 5, frame + 6) * 2
    return _Layout(tuple(parts), sides, (1 << 8, 1, 0, 0), limits.METADATA_BYTES)


_LAYOUT_BYTES = 1024
_HUFFMAN = "ffc4001f ffc400b5"
_LAYOUTS = (
    _Layout(
        ((0, b"\x89PNG"),),
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
# As tables with a row for each layout; shorter ones repeat their last place.
_LAYOUT_PLACES = [[place for place, _ in (row + row[-1:] * _LONGEST)[:_LONGEST]] for row in _FILLED]
_LAYOUT_VALUES = np.array(
    [[value for _, value in (row + row[-1:] * _LONGEST)[:_LONGEST]] for row in _FILLED], np.uint8
)
_LAYOUT_SIDES = [layout.sides for layout in _LAYOUTS]
_LAYOUT_WEIGHTS = [[layout.weights] for layout in _LAYOUTS]
_LAYOUT_SIZES = [layout.size for layout in _LAYOUTS]


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


def bounded(contents: tf.Tensor, max_pixels: int = limits.MAX_PIXELS) -> tf.Tensor:
    """Returns the bytes to decode: `contents`, or the first frame of a GIF.

    Args:
      contents: a scalar string, the encoded image.
      max_pixels: maximum number of pixels.

    Raises:
      InvalidArgumentError: at run time, if the image exceeds a limit; see `find_problem`.
    """
    if in_plain_graph():
        return _stop_or_keep(contents, max_pixels)

    def keep() -> tf.Tensor:
        return tf.identity(contents)

    def check() -> tf.Tensor:
        # The many operations are in a function of their own, since in a branch they would take time
        # even when it is not chosen; a dataset's is not inlined.
        one = tf.data.Dataset.from_tensors(contents)
        checked = one.map(lambda each: _traced_check(each, max_pixels)).get_single_element()
        return tf.ensure_shape(checked, [])

    return tf.cond(
        _is_plain(contents, max_pixels),
        keep,
        lambda: tf.cond(
            tf.io.is_jpeg(contents),
            lambda: tf.cond(_has_few_scans(contents, max_pixels), keep, check),
            check,
        ),
    )


def inspect(
    contents: tf.Tensor, max_pixels: int = limits.MAX_PIXELS
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns why the image must not be decoded, or an empty string, and `bounded`'s result."""
    header = _read(contents, max_pixels)
    text = tf.cond(header.problem > 0, lambda: _text(header), lambda: tf.constant(""))
    return text, header.contents


def find_problem(message: str) -> str | None:
    """Returns the reason in the message of a `bounded` error, or None for another error."""
    _, begin, rest = message.partition(_BEGIN)
    return rest.partition(_END)[0] if begin else None


def _stop_or_keep(contents: tf.Tensor, max_pixels: int) -> tf.Tensor:
    header = _read(contents, max_pixels)

    def stop() -> tf.Tensor:
        message = tf.strings.join([_BEGIN, _text(header), _END])
        with tf.control_dependencies([tf.debugging.Assert(False, [message])]):
            return tf.identity(contents)

    return tf.cond(header.problem > 0, stop, lambda: tf.identity(header.contents))


# Traced once, for pipelines are built several times.
_traced_check = tf.function(_stop_or_keep, autograph=False)


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
    problems = (
        (_PIXELS, pixels > max_pixels, size, max_pixels),
        (_BYTES, size > max_bytes, size, max_bytes),
        *others,
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


def _is_plain(contents: tf.Tensor, max_pixels: int) -> tf.Tensor:
    """Says whether an image is within all limits and of one of `_LAYOUTS`, which most are: sixteen
    small operations tell."""
    start = tf.io.decode_raw(contents, tf.uint8, fixed_length=_LAYOUT_BYTES)
    is_layout = tf.reduce_all(tf.equal(tf.gather(start, _LAYOUT_PLACES), _LAYOUT_VALUES), axis=1)
    sides = tf.cast(tf.gather(start, _LAYOUT_SIDES), tf.float64) * _LAYOUT_WEIGHTS
    pixels = tf.reduce_prod(tf.reduce_sum(sides, axis=2), axis=1)
    is_small = tf.strings.length(contents) <= _LAYOUT_SIZES
    return tf.reduce_any(is_layout & is_small & (pixels <= max_pixels))


def _has_few_scans(contents: tf.Tensor, max_pixels: int) -> tf.Tensor:
    """Says whether a JPEG is within all limits and has no scan but those at its start."""
    height, width, _ = tf.unstack(tf.cast(tf.image.extract_jpeg_shape(contents), tf.int64))
    data = tf.io.decode_raw(contents, tf.uint8)[_SCANS_BYTES:]
    later = tf.reduce_any(tf.equal(data[:-1], 0xFF) & tf.equal(data[1:], 0xDA))
    most = limits.MIN_SCANS * max_pixels // limits.MAX_SCANS  # pixels with MAX_SCANS
    return ~later & (width * height <= most) & (tf.size(data) < limits.METADATA_BYTES)


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


class _Walk(NamedTuple):
    """State of a walk over the blocks of a GIF, as in `limits.walk_gif`; scalars, mostly int64."""

    steps: tf.Tensor
    at: tf.Tensor
    in_blocks: tf.Tensor
    in_frame: tf.Tensor
    finished: tf.Tensor
    canvas: tf.Tensor  # [2], width and height
    frames: tf.Tensor
    first: tf.Tensor  # [2]
    largest: tf.Tensor  # [2]
    sides: tf.Tensor  # [2]
    total: tf.Tensor
    first_end: tf.Tensor


def _read_gif(contents: tf.Tensor, size: tf.Tensor, max_pixels: int) -> _Header:
    end, padding = tf.cast(size, tf.int64), bytes(16)
    data = tf.io.decode_raw(tf.strings.join([contents, padding]), tf.uint8)
    zero, no, sides = tf.constant(0, tf.int64), tf.constant(False), tf.zeros([2], tf.int64)
    canvas, first_block = _pair(data, tf.constant(6, tf.int64)), 13 + _colors(_at(data, 10))
    start = _Walk(zero, first_block, no, no, no, canvas, zero, sides, sides, canvas, zero, zero)

    def unfinished(walk: _Walk) -> tf.Tensor:
        return (walk.at < end) & (walk.steps < limits.MAX_GIF_STEPS) & ~walk.finished

    def step(walk: _Walk) -> tuple[_Walk]:
        return (_step(data, end, walk),)

    (walk,) = tf.while_loop(unfinished, step, [start], parallel_iterations=1)
    complete = (walk.at >= end) | walk.finished
    first_only = (walk.first_end > 0) & tf.reduce_all(tf.equal(walk.first, walk.largest))
    total = tf.where(first_only, tf.reduce_prod(walk.first), walk.total)
    start = tf.strings.substr(contents, zero, walk.first_end)
    others = (_BLOCKS, ~complete, zero, 0), (_FRAMES, total > max_pixels, total, max_pixels)
    header = _check(contents, walk.sides, size, max_pixels, *others)
    return header._replace(contents=tf.where(first_only, tf.strings.join([start, b";"]), contents))


def _step(data: tf.Tensor, end: tf.Tensor, walk: _Walk) -> _Walk:
    at, head = walk.at, _at(data, walk.at)
    heads = at + (head + 1) * tf.range(limits.GIF_RUN, dtype=tf.int64)
    same = tf.equal(tf.cast(tf.gather(data, tf.minimum(heads, end)), tf.int64), head)
    run = tf.reduce_sum(tf.math.cumprod(tf.cast(same, tf.int64)))
    run = tf.where(head > 0, run, 1)
    is_extension = ~walk.in_blocks & tf.equal(head, 0x21)
    is_frame = ~walk.in_blocks & tf.equal(head, 0x2C) & (at + 10 < end)
    after = at + tf.where(walk.in_blocks, (head + 1) * run, 2 * tf.cast(is_extension, tf.int64))
    after += tf.where(is_frame, 11 + _colors(_at(data, at + 9)), 0)
    ends = walk.in_blocks & walk.in_frame & tf.equal(head, 0) & tf.equal(walk.first_end, 0)
    wide_high = tf.where(is_frame, _pair(data, at + 5), 0)
    return _Walk(
        steps=walk.steps + 1,
        at=after,
        in_blocks=tf.where(walk.in_blocks, head > 0, is_extension | is_frame),
        in_frame=tf.where(walk.in_blocks, walk.in_frame, is_frame),
        finished=tf.where(
            walk.in_blocks,
            ends & tf.reduce_all(tf.equal(walk.first, walk.canvas)),
            ~is_extension & ~is_frame,
        ),
        canvas=walk.canvas,
        frames=walk.frames + tf.cast(is_frame, tf.int64),
        first=tf.where(walk.frames > 0, walk.first, wide_high),
        largest=tf.maximum(walk.largest, wide_high),
        sides=tf.maximum(walk.sides, tf.where(is_frame, _pair(data, at + 1), 0) + wide_high),
        total=walk.total + tf.reduce_prod(wide_high),
        first_end=tf.where(ends, after, walk.first_end),
    )


def _at(data: tf.Tensor, offset: int | tf.Tensor) -> tf.Tensor:
    return tf.cast(data[offset], tf.int64)


def _pair(data: tf.Tensor, offset: tf.Tensor) -> tf.Tensor:
    """Returns two integers of two bytes each."""
    low_high = tf.reshape(tf.cast(tf.slice(data, [offset], [4]), tf.int64), [2, 2])
    return low_high[:, 0] + 256 * low_high[:, 1]


def _colors(flags: tf.Tensor) -> tf.Tensor:
    """Returns the size of a color table in bytes."""
    return tf.where(
        flags >= 128, tf.bitwise.left_shift(tf.constant(3, tf.int64), (flags & 7) + 1), 0
    )
