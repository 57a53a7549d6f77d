"""Refuses images that would take too much to decode: in a graph, from their bytes alone.

The limits are those of `slim._image_limits`. It costs a JPEG about 40 microseconds.
"""

from typing import NamedTuple

import tensorflow as tf

from slim import _image_limits as limits

_BEGIN, _END = "<<slim-image|", "|slim-image>>"
# What is wrong with an image, by `_Header.problem`: a template and the header's values in it.
_PROBLEMS = (
    ("", ()),
    (limits.TOO_MANY_PIXELS, ("width", "height", "limit")),
    (limits.TOO_MANY_BYTES, ("size", "width", "height", "limit")),
    (limits.TOO_MANY_SCANS, ("above", "width", "height", "limit")),
    (limits.TOO_MANY_TEXTS, ("above", "limit")),
    (limits.TOO_MANY_BLOCKS, ()),
    (limits.TOO_MANY_FRAMES, ("size", "limit")),
)
_PIXELS, _BYTES, _SCANS, _TEXTS, _BLOCKS, _FRAMES = range(1, len(_PROBLEMS))
_PREFIX = 32  # bytes: one more than have the sides of all formats but JPEG and GIF
_JPEG_PREFIX, _JPEG_SEGMENTS = 1024, 12


class _Kind(NamedTuple):
    """Where a format has its sides.

    Attributes:
      parts: bytes by which it is known, each with its place.
      places: of the bytes of width and height, the lowest first; the last byte is always 0.
      divisors: by which width and height are divided before `modulus`.
      modulus: above their largest value.
      plus: is added to them.
    """

    parts: tuple[tuple[int, bytes], ...]
    places: tuple[tuple[int, ...], tuple[int, ...]]
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
_SIGNED = 2  # of them: of a negative height the rows stand the other way


class _Header(NamedTuple):
    """What the bytes of an image say; scalars, most of int64.

    Attributes:
      problem: a place in `_PROBLEMS`; 0 if it may be decoded.
      width: in pixels.
      height: in pixels.
      size: what was compared with the limit.
      limit: that was exceeded.
      contents: the bytes to decode; a string.
    """

    problem: tf.Tensor
    width: tf.Tensor
    height: tf.Tensor
    size: tf.Tensor
    limit: tf.Tensor
    contents: tf.Tensor


def bounded(contents: tf.Tensor, max_pixels: int = limits.MAX_PIXELS) -> tf.Tensor:
    """Returns the bytes to decode: the image's own, of a GIF those of its first frame.

    Args:
      contents: a scalar string, the encoded image.
      max_pixels: the largest number of pixels.

    Raises:
      InvalidArgumentError: when it runs, if the image exceeds a limit; `find_problem` reads it.
    """
    header = _read(contents, max_pixels)

    def stop() -> tf.Tensor:
        message = tf.strings.join([_BEGIN, _text(header), _END])
        with tf.control_dependencies([tf.debugging.Assert(False, [message])]):
            return tf.constant(True)

    passed = tf.cond(header.problem > 0, stop, lambda: tf.constant(True))
    with tf.control_dependencies([passed]):
        return tf.identity(header.contents)


def inspect(
    contents: tf.Tensor, max_pixels: int = limits.MAX_PIXELS
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns `bounded` without stopping: why the image must not be decoded, or an empty string,
    and the bytes to decode."""
    header = _read(contents, max_pixels)
    text = tf.cond(header.problem > 0, lambda: _text(header), lambda: tf.constant(""))
    return text, header.contents


def find_problem(message: str) -> str | None:
    """Returns the reason in the text of an error of `bounded`, or None if it is another error."""
    _, begin, rest = message.partition(_BEGIN)
    return rest.partition(_END)[0] if begin else None


def _text(header: _Header) -> tf.Tensor:
    values = {**header._asdict(), "above": header.limit + 1}

    def say(template: str, names: tuple[str, ...]) -> tf.Tensor:
        first, *others = template.split("{}")
        parts = [
            [tf.strings.as_string(values[n]), text] for n, text in zip(names, others, strict=True)
        ]
        return tf.strings.join([first, *(part for pair in parts for part in pair)])

    choices = [lambda each=each: say(*each) for each in _PROBLEMS]
    return tf.switch_case(tf.cast(header.problem, tf.int32), choices)


def _read(contents: tf.Tensor, max_pixels: int) -> _Header:
    size = tf.strings.length(contents)
    start = tf.strings.substr(contents, 0, 3)
    return _Header(
        *tf.cond(
            start == b"\xff\xd8\xff",
            lambda: _read_jpeg(contents, size, max_pixels),
            lambda: tf.cond(
                start == b"GIF",
                lambda: _read_gif(contents, size, max_pixels),
                lambda: _read_other(contents, size, max_pixels),
            ),
        )
    )


def _judged(
    contents: tf.Tensor,
    width: tf.Tensor,
    height: tf.Tensor,
    size: tf.Tensor,
    max_pixels: int,
    *others: tuple[int, tf.Tensor, tf.Tensor, int | tf.Tensor],
) -> _Header:
    """Returns a header with its first problem; `others` are further ones: number, whether it is
    there, what is compared, and with which limit."""
    width, height, size = (tf.cast(each, tf.int64) for each in (width, height, size))
    largest = tf.constant(1 << 31, tf.int64)  # so that nothing overflows
    pixels = tf.minimum(width, largest) * tf.minimum(height, largest)
    max_bytes = limits.METADATA_BYTES + limits.BYTES_PER_PIXEL * pixels
    problem, limit = tf.constant(0, tf.int64), tf.constant(0, tf.int64)
    found = (
        (_PIXELS, pixels > max_pixels, size, max_pixels),
        (_BYTES, size > max_bytes, size, max_bytes),
        *others,
    )
    for number, there, compared, allowed in reversed(found):
        problem = tf.where(there, tf.constant(number, tf.int64), problem)
        size = tf.where(there, tf.cast(compared, tf.int64), size)
        limit = tf.where(there, tf.cast(allowed, tf.int64), limit)
    return _Header(problem, width, height, size, limit, contents)


def _read_jpeg(contents: tf.Tensor, size: tf.Tensor, max_pixels: int) -> _Header:
    shape = tf.cast(tf.image.extract_jpeg_shape(contents), tf.int64)
    pixels = shape[0] * shape[1]
    allowed = tf.minimum(
        tf.constant(limits.MAX_SCANS, tf.int64),
        limits.MIN_SCANS * max_pixels // tf.maximum(pixels, 1),
    )
    scans = tf.cond(
        _has_one_scan(contents),
        lambda: tf.constant(1, tf.int64),
        lambda: _count(contents, limits.SCAN, limits.MAX_SCANS),
    )
    return _judged(
        contents, shape[1], shape[0], size, max_pixels, (_SCANS, scans > allowed, scans, allowed)
    )


def _has_one_scan(contents: tf.Tensor) -> tf.Tensor:
    """Says whether the first scan of a JPEG is its only one, as it is in most: the frame is not
    progressive and the scan has all components. Where the first bytes do not show it: false."""
    start = tf.io.decode_raw(tf.strings.substr(contents, 0, _JPEG_PREFIX), tf.uint8)
    start = tf.cast(tf.pad(start, [[0, 16]]), tf.int32)
    count = tf.size(start) - 16
    # Where the segment after one that begins at each byte begins.
    following = tf.range(count) + 2 + start[2 : count + 2] * 256 + start[3 : count + 3]
    following = tf.minimum(following, count - 1)
    at, places = tf.constant(2), []
    for _ in range(_JPEG_SEGMENTS):
        places.append(at)
        at = tf.gather(following, at)
    places = tf.stack(places)
    markers = tf.gather(start, places) * 256 + tf.gather(start, places + 1)
    is_scan, is_frame = markers == 0xFFDA, (markers == 0xFFC0) | (markers == 0xFFC1)
    tables = (markers == 0xFFC4) | (markers == 0xFFDB) | (markers == 0xFFDD) | (markers == 0xFFFE)
    is_known = tables | is_frame | ((markers >= 0xFFE0) & (markers <= 0xFFEF))
    scan, frame = tf.argmax(is_scan), tf.argmax(is_frame)
    before = tf.range(_JPEG_SEGMENTS, dtype=tf.int64) < scan
    return (
        tf.reduce_any(is_scan)
        & is_frame[frame]
        & (frame < scan)
        & tf.reduce_all(is_known | ~before)
        & (start[places[frame] + 9] == start[places[scan] + 4])
    )


def _count(contents: tf.Tensor, part: bytes, enough: int) -> tf.Tensor:
    """Returns how often bytes occur; from `enough` on that is not exact."""
    pieces = tf.raw_ops.StringSplitV2(input=[contents], sep=part, maxsplit=enough + 1)
    return pieces.shape[1] - 1


def _read_other(contents: tf.Tensor, size: tf.Tensor, max_pixels: int) -> _Header:
    start = tf.strings.substr(contents, 0, _PREFIX)
    start = tf.strings.substr(tf.strings.join([start, bytes(_PREFIX)]), 0, _PREFIX)
    head = tf.cast(tf.ensure_shape(tf.io.decode_raw(start, tf.uint8), [_PREFIX]), tf.int64)
    head *= [1] * _ZERO + [0]
    is_kind = tf.stack(
        [
            tf.reduce_all(
                [tf.strings.substr(start, at, len(part)) == part for at, part in kind.parts]
            )
            for kind in _KINDS
        ]
    )
    is_known, kind = tf.reduce_any(is_kind), tf.argmax(is_kind)

    def of_kind(name: str) -> tf.Tensor:
        return tf.constant([getattr(each, name) for each in _KINDS], tf.int64)[kind]

    places = of_kind("places")  # [2, 4]: width, height
    values = tf.reduce_sum(tf.gather(head, places) * (1, 1 << 8, 1 << 16, 1 << 24), axis=1)
    values = tf.where(kind == _SIGNED, tf.minimum(values, (1 << 32) - values), values)
    values = values // of_kind("divisors")
    values = values % of_kind("modulus")
    values += of_kind("plus")
    values = tf.where(is_known, values, 0)
    texts = tf.cond(
        is_known & (kind == 0) & (size > limits.TEXTS_FROM_BYTES),
        lambda: _count(contents, limits.TEXT, limits.MAX_TEXTS),
        lambda: tf.constant(0, tf.int64),
    )
    too_many = (_TEXTS, texts > limits.MAX_TEXTS, texts, limits.MAX_TEXTS)
    # Not an image, or none of ours: the decoder's own errors say more than a limit.
    return _judged(
        contents, values[0], values[1], tf.where(is_known, size, 0), max_pixels, too_many
    )


class _Walk(NamedTuple):
    """A step over the blocks of a GIF, as `limits.walk_gif` makes it; scalars, most of int64."""

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
    alone = (walk.first_end > 0) & tf.reduce_all(walk.first == walk.largest)
    total = tf.where(alone, tf.reduce_prod(walk.first), walk.total)
    start = tf.strings.substr(contents, zero, walk.first_end)
    return _judged(
        tf.where(alone, tf.strings.join([start, b";"]), contents),
        walk.sides[0],
        walk.sides[1],
        size,
        max_pixels,
        (_BLOCKS, ~complete, zero, 0),
        (_FRAMES, total > max_pixels, total, max_pixels),
    )


def _step(data: tf.Tensor, end: tf.Tensor, walk: _Walk) -> _Walk:
    at, head = walk.at, _at(data, walk.at)
    places = at + (head + 1) * tf.range(limits.GIF_RUN, dtype=tf.int64)
    same = tf.cast(tf.gather(data, tf.minimum(places, end)), tf.int64) == head
    run = tf.reduce_sum(tf.math.cumprod(tf.cast(same, tf.int64)))
    run = tf.where(head > 0, run, 1)
    is_extension = ~walk.in_blocks & (head == 0x21)
    is_frame = ~walk.in_blocks & (head == 0x2C) & (at + 10 < end)
    after = at + tf.where(walk.in_blocks, (head + 1) * run, 2 * tf.cast(is_extension, tf.int64))
    after += tf.where(is_frame, 11 + _colors(_at(data, at + 9)), 0)
    ends = walk.in_blocks & walk.in_frame & (head == 0) & (walk.first_end == 0)
    wide_high = tf.where(is_frame, _pair(data, at + 5), 0)
    return _Walk(
        steps=walk.steps + 1,
        at=after,
        in_blocks=tf.where(walk.in_blocks, head > 0, is_extension | is_frame),
        in_frame=tf.where(walk.in_blocks, walk.in_frame, is_frame),
        finished=tf.where(
            walk.in_blocks,
            ends & tf.reduce_all(walk.first == walk.canvas),
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


def _at(data: tf.Tensor, place: int | tf.Tensor) -> tf.Tensor:
    return tf.cast(data[place], tf.int64)


def _pair(data: tf.Tensor, place: tf.Tensor) -> tf.Tensor:
    """Returns two numbers of two bytes each."""
    low_high = tf.reshape(tf.cast(tf.slice(data, [place], [4]), tf.int64), [2, 2])
    return low_high[:, 0] + 256 * low_high[:, 1]


def _colors(flags: tf.Tensor) -> tf.Tensor:
    """Returns the bytes of a table of colors."""
    return tf.where(
        flags >= 128, tf.bitwise.left_shift(tf.constant(3, tf.int64), (flags & 7) + 1), 0
    )
