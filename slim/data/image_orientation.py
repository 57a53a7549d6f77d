"""Reads and applies the EXIF orientation of an image file, in TensorFlow operations."""

import tensorflow as tf

from slim.data import rare

# One search, which costs little, decides whether to read the segments of a JPEG. Its EXIF data is
# in the first segments; other formats may have it anywhere.
_MAY_BE_TURNED = r"(?:\CPNG|RIFF|\C*Exif\x00\x00|\C*tiff:Orientation)\C*"
_SEARCHED = 256 << 10  # bytes
_TAG = 0x0112
_SHORT, _LONG = 3, 4  # types of its value
_ENTRY = 12  # bytes
_TIFF_STARTS = (b"II*\0", b"MM\0*")
# Orientations that mirror the rows and the columns, those from 5 on after transposing.
_MIRRORED = ((3, 4, 7, 8), (2, 3, 6, 7))
# Segments of a JPEG to read before EXIF data; most have few.
_MAX_SEGMENTS = 1000
_NAME = b"Exif\0\0"
_HEAD = 10  # bytes: marker, size and name
_WEBP_EXIF = 8  # flag in the header of an extended WebP


def upright(pixels: tf.Tensor, contents: tf.Tensor) -> tf.Tensor:
    """Returns the pixels turned and mirrored as the file's EXIF data requests.

    Args:
      pixels: the decoded image, [height, width, channels].
      contents: the file, a scalar string.
    """
    start = tf.strings.substr(contents, 0, _SEARCHED)
    return tf.cond(
        tf.strings.regex_full_match(start, _MAY_BE_TURNED),
        lambda: rare.call(_turned, pixels, contents),
        lambda: tf.identity(pixels),
    )


def _turned(pixels: tf.Tensor, contents: tf.Tensor) -> tf.Tensor:
    number = orientation(contents)

    def turn() -> tf.Tensor:
        axes = tf.reduce_any(tf.equal(number, _MIRRORED), axis=1)
        image = tf.cond(
            number >= 5, lambda: tf.transpose(pixels, [1, 0, 2]), lambda: tf.identity(pixels)
        )
        return tf.reverse(image, tf.boolean_mask([0, 1], axes))

    return tf.cond(number > 1, turn, lambda: tf.identity(pixels))


def orientation(contents: tf.Tensor) -> tf.Tensor:
    """Returns the EXIF orientation, int32, 1 to 8; 1 (upright) if there is none.

    Without one, an orientation in XMP counts, as for Pillow.

    Args:
      contents: a scalar string, the bytes of a JPEG, PNG or WebP; others have none.
    """
    start = tf.strings.substr(contents, 0, 4)
    tiff = tf.case(
        [
            (tf.io.is_jpeg(contents), lambda: _in_jpeg(contents)),
            (tf.equal(start, b"\x89PNG"), lambda: _after(contents, b"eXIf")),
            (tf.equal(start, b"RIFF"), lambda: _in_webp(contents)),
        ],
        default=lambda: tf.constant(b""),
    )
    is_tiff = tf.reduce_any(tf.equal(tf.strings.substr(tiff, 0, 4), _TIFF_STARTS))
    exif = tf.cond(is_tiff, lambda: _read(tiff), lambda: tf.constant(0))
    number = tf.cond(exif > 0, lambda: exif, lambda: _in_xmp(contents))
    return tf.where(number <= 8, number, 1)


def _in_xmp(contents: tf.Tensor) -> tf.Tensor:
    """Returns the number after `tiff:Orientation`, as an attribute or an element; 1 without it."""
    searched = tf.where(tf.io.is_jpeg(contents), _SEARCHED, tf.strings.length(contents))
    text = _after(tf.strings.substr(contents, 0, searched), b"tiff:Orientation")
    equals, quote, digit = tf.unstack(_bytes(text, 3))
    is_attribute = tf.equal(equals, ord("=")) & tf.equal(quote, ord('"'))
    number = tf.where(is_attribute, digit, tf.where(tf.equal(equals, ord(">")), quote, 0))
    return tf.maximum(number - ord("0"), 1)


def _in_jpeg(contents: tf.Tensor) -> tf.Tensor:
    """Returns the EXIF data of a JPEG, from its first APP1 segment of that kind, or ""."""
    end = tf.strings.length(contents) - _HEAD

    def unfinished(_: tf.Tensor, at: tf.Tensor, segment: tf.Tensor) -> tf.Tensor:
        return (at <= end) & tf.equal(segment, 0)

    def step(number: tf.Tensor, at: tf.Tensor, _: tf.Tensor) -> tuple[tf.Tensor, ...]:
        head = tf.strings.substr(contents, at, _HEAD)
        mark, marker, high, low = tf.unstack(_bytes(tf.strings.substr(head, 0, 4), 4))
        is_exif = tf.equal(marker, 0xE1) & tf.equal(tf.strings.substr(head, 4, 6), _NAME)
        is_last = tf.not_equal(mark, 0xFF) | tf.reduce_any(tf.equal(marker, (0xD9, 0xDA)))
        is_fill = tf.equal(marker, 0xFF)
        skipped = tf.where(is_fill, 1, 2 + 256 * high + low)
        after = tf.where(is_last | (number >= _MAX_SEGMENTS), end + 1, at + skipped)
        return number + 1, after, tf.where(is_exif & ~is_last, at, 0)

    start = [tf.constant(value) for value in (0, 2, 0)]
    _, after, segment = tf.while_loop(unfinished, step, start, parallel_iterations=1)
    first = segment + _HEAD
    return tf.cond(
        segment > 0,
        lambda: tf.strings.substr(contents, first, tf.maximum(after - first, 0)),
        lambda: tf.constant(b""),
    )


def _in_webp(contents: tf.Tensor) -> tf.Tensor:
    flags = _bytes(tf.strings.substr(contents, 20, 1), 1)[0]
    has_exif = tf.equal(tf.strings.substr(contents, 12, 4), b"VP8X") & (flags & _WEBP_EXIF > 0)

    def exif() -> tf.Tensor:
        data = _from(_after(contents, b"EXIF"), 4)  # after its size
        has_name = tf.equal(tf.strings.substr(data, 0, 6), _NAME)
        return _from(data, tf.where(has_name, len(_NAME), 0))

    return tf.cond(has_exif, exif, lambda: tf.constant(b""))


def _read(tiff: tf.Tensor) -> tf.Tensor:
    """Returns the orientation in the first directory of a TIFF header; 0 if there is none."""
    big = tf.equal(tf.strings.substr(tiff, 0, 1), b"M")
    end = tf.strings.length(tiff)

    def number(values: tf.Tensor) -> tf.Tensor:
        """Returns the integers in the bytes of the last axis."""
        size = values.shape[-1]
        weights = tf.constant([256**place for place in range(size)], tf.int64)
        values = tf.cast(values, tf.int64) * tf.where(big, weights[::-1], weights)
        return tf.reduce_sum(values, axis=-1)

    at = tf.cast(tf.minimum(number(_bytes(_from(tiff, 4), 4)), tf.cast(end, tf.int64)), tf.int32)
    count = tf.cast(number(_bytes(_from(tiff, at), 2)), tf.int32)
    count = tf.minimum(count, tf.maximum(end - at - 2, 0) // _ENTRY)
    entries = tf.strings.substr(tiff, tf.minimum(at + 2, end), count * _ENTRY)
    entries = tf.reshape(tf.io.decode_raw(entries, tf.uint8), [-1, _ENTRY])
    types = number(entries[:, 2:4])
    values = tf.where(tf.equal(types, _SHORT), number(entries[:, 8:10]), number(entries[:, 8:12]))
    is_known = tf.reduce_any(tf.equal(types[:, tf.newaxis], (_SHORT, _LONG)), axis=1)
    is_known &= tf.equal(number(entries[:, 0:2]), _TAG) & tf.equal(number(entries[:, 4:8]), 1)
    last = tf.concat([[0], tf.boolean_mask(values, is_known)], 0)[-1]
    return tf.cast(tf.minimum(last, 9), tf.int32)


def _after(contents: tf.Tensor, part: bytes) -> tf.Tensor:
    """Returns what follows the first occurrence of a part, or ""."""
    pieces = tf.raw_ops.StringSplitV2(input=[contents], sep=part, maxsplit=1)
    return tf.where(pieces.shape[1] > 1, pieces.values[-1], b"")


def _from(contents: tf.Tensor, at: int | tf.Tensor) -> tf.Tensor:
    """Returns the rest of a string, which may be shorter than `at`."""
    size = tf.strings.length(contents)
    return tf.strings.substr(contents, tf.minimum(at, size), size)


def _bytes(contents: tf.Tensor, size: int) -> tf.Tensor:
    """Returns the first bytes, int32 [size]; zeros after the end."""
    return tf.cast(tf.io.decode_raw(contents, tf.uint8, fixed_length=size), tf.int32)
