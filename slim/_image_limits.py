"""Limits of encoded images, checked before an image is decoded; no TensorFlow here.

`slim.data.image_header` checks the same limits in a graph, except those of a TIFF, which no graph
decodes; a test compares both on a table of files. Bytes that are not an image pass: decoders report
them.
"""

import errno
import os
import struct
from typing import Any, NamedTuple

from slim import _files, _tiff
from slim._file_ranges import FileRange

# Pillow calls an image with more pixels a decompression bomb.
MAX_PIXELS = 89_478_485
# An encoded image may have 8 bytes per pixel (16 bits per channel) and this for metadata; formats
# with several frames, of which one is decoded, may have 8 bytes for each of max_pixels.
BYTES_PER_PIXEL = 8
METADATA_BYTES = 8 << 20
WITH_FRAMES = (b"GIF8", b"\x89PNG", b"RIFF")
# libjpeg processes all pixels in each scan. Progressive JPEGs have about 10 scans, in CMYK 18.
MAX_SCANS = 64
# Limit for a JPEG of max_pixels; with fewer pixels it is higher, up to MAX_SCANS.
MIN_SCANS = 20
SCAN = b"\xff\xda"
# Of a JPEG with more than METADATA_BYTES, before its pixels; each takes microseconds.
MAX_SEGMENTS = 10_000
# Each compressed text of a PNG (zTXt, iTXt) may expand to 8 MB; a smaller file holds few of them.
MAX_TEXTS = 16
TEXT = b"TXt"
TEXTS_FROM_BYTES = 64 << 10
# Steps over a GIF's blocks; a step skips up to GIF_RUN blocks of the same size.
MAX_GIF_STEPS = 3_000
GIF_RUN = 256

TOO_MANY_PIXELS = "has {} x {} pixels, more than max_pixels={}"
TOO_MANY_BYTES = "has {} bytes, but an image of {} x {} pixels may have at most {}"
UNKNOWN_SIZE = "has {} bytes, but its size in pixels is not readable; then at most {} are allowed"
TOO_MANY_SCANS = "has {} or more scans, but a JPEG of {} x {} pixels may have at most {}"
TOO_MANY_TEXTS = "has {} or more compressed texts, but a PNG may have at most {}"
TOO_MANY_FRAMES = "has frames with {} pixels in total, more than max_pixels={}"
TOO_MANY_BLOCKS = "has too many blocks for a GIF"
NO_IMAGE = "is not a JPEG, PNG, GIF, BMP or WebP image"
# First bytes -> format, of those that TensorFlow decodes.
FORMATS = {
    b"\xff\xd8\xff": "JPEG",
    b"\x89PNG": "PNG",
    b"GIF8": "GIF",
    b"BM": "BMP",
    b"RIFF": "WebP",
}
# TensorFlow decodes it too, but its size is unknown here.
JPEG_XL = f"{NO_IMAGE} (JPEG XL)"
JPEG_XL_STARTS = (b"\xff\n", b"\0\0\0\x0cJXL ")

_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_BARE = frozenset((0x01, *range(0xD0, 0xD9)))
_MAX_FILL = 4096  # bytes of 0xFF before a marker, skipped at once


class Gif(NamedTuple):
    """The blocks of a GIF.

    Attributes:
      width: the largest right edge of the canvas and all frames, in pixels.
      height: the largest bottom edge.
      total: number of pixels to decode for the first frame.
      first_end: number of bytes up to the end of the first frame; 0 if all are needed.
      complete: whether the blocks were read to the end, or to damage.
    """

    width: int
    height: int
    total: int
    first_end: int
    complete: bool


def max_bytes(max_pixels: int) -> int:
    """Returns the maximum number of bytes of an encoded image."""
    return METADATA_BYTES + BYTES_PER_PIXEL * max_pixels


def problem(data: bytes | FileRange, max_pixels: int = MAX_PIXELS) -> str | None:
    """Returns why an image must not be decoded, or None.

    Args:
      data: the encoded image.
      max_pixels: maximum number of pixels.
    """
    if any(data[: len(start)] == start for start in JPEG_XL_STARTS):
        return JPEG_XL
    gif = walk_gif(data) if data[:3] == b"GIF" else None
    width, height = (gif.width, gif.height) if gif else size(data)
    pixels = width * height
    too_large = _size_problem(data, width, height, max_pixels)
    if too_large is not None:
        return too_large
    if gif and not gif.complete:
        return TOO_MANY_BLOCKS
    if gif and gif.total > max_pixels:
        return TOO_MANY_FRAMES.format(gif.total, max_pixels)
    if data[:3] == b"\xff\xd8\xff":
        allowed = max_scans(pixels, max_pixels)
        if data.count(SCAN) > allowed:
            return TOO_MANY_SCANS.format(allowed + 1, width, height, allowed)
    if data[:4] == b"\x89PNG" and len(data) > TEXTS_FROM_BYTES and data.count(TEXT) > MAX_TEXTS:
        return TOO_MANY_TEXTS.format(MAX_TEXTS + 1, MAX_TEXTS)
    return None


def header_problem(data: bytes | FileRange, max_pixels: int = MAX_PIXELS) -> str | None:
    """Returns the problem of an image that its header and size show, or None.

    It reads little, and thus misses limits of what follows the header; see `problem`.
    """
    is_gif = data[:3] == b"GIF" and len(data) > 10
    width, height = _unpack("<HH", data, 6) if is_gif else size(data)
    return _size_problem(data, width, height, max_pixels)


def read(path: str | os.PathLike[str], max_pixels: int = MAX_PIXELS) -> bytes:
    """Returns the bytes of an image; a large file is checked before it is loaded.

    Raises:
      OSError: if it cannot be read, is not a regular file, or exceeds a limit.
    """
    with _files.open_regular(path) as file:
        num_bytes = os.fstat(file.fileno()).st_size
        if num_bytes > METADATA_BYTES:
            data = FileRange(file, 0, num_bytes)
            reason = problem(data, max_pixels)
            if reason is not None:
                raise OSError(errno.EFBIG, reason, os.fspath(path))
    return _files.read_bounded(path, max_bytes(max_pixels))


def _size_problem(data: bytes | FileRange, width: int, height: int, max_pixels: int) -> str | None:
    if width * height > max_pixels:
        return TOO_MANY_PIXELS.format(width, height, max_pixels)
    with_frames = data[:4] in (*WITH_FRAMES, *_tiff.STARTS)
    limit = max_bytes(max_pixels if with_frames else width * height)
    if len(data) <= limit:
        return None
    if width or height:
        return TOO_MANY_BYTES.format(len(data), width, height, limit)
    if data[:4].startswith((*FORMATS, *_tiff.STARTS)):
        return UNKNOWN_SIZE.format(len(data), limit)
    return NO_IMAGE


def max_scans(pixels: int, max_pixels: int) -> int:
    """Returns the maximum number of scans of a JPEG."""
    return min(MAX_SCANS, MIN_SCANS * max_pixels // max(pixels, 1))


def size(data: bytes | FileRange) -> tuple[int, int]:
    """Returns width and height of an image other than a GIF; zeros if they are unknown."""
    try:
        if data[:3] == b"\xff\xd8\xff":
            return _jpeg_size(data)
        if data[:4] == b"\x89PNG":
            return _unpack(">II", data, 16)
        if data[:2] == b"BM":
            return _bmp_size(data)
        if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
            return _webp_size(data)
        if data[:4] in _tiff.STARTS:
            return _tiff.read(data).size
    except (struct.error, ValueError):  # too short, or damaged
        pass
    return 0, 0


def _unpack(layout: str, data: bytes | FileRange, at: int) -> tuple[Any, ...]:
    return struct.unpack(layout, data[at : at + struct.calcsize(layout)])


def _jpeg_size(data: bytes | FileRange) -> tuple[int, int]:
    at = segments = 2
    is_large = len(data) > METADATA_BYTES
    while (at := data.find(b"\xff", at)) >= 0:
        marker = data[at + 1] if at + 1 < len(data) else 0xDA
        if marker in _FRAMES:
            height, width = _unpack(">HH", data, at + 5)
            return width, height
        segments += 1
        if marker in (0xD9, 0xDA) or (is_large and segments > MAX_SEGMENTS):
            break  # the end; pixels without a frame
        if marker == 0xFF:
            fill = data[at : at + _MAX_FILL]
            at += len(fill) - len(fill.lstrip(b"\xff")) - 1
        elif marker == 0x00 or marker in _BARE:
            at += 2
        else:
            at += 2 + _unpack(">H", data, at + 2)[0]
    return 0, 0


def _bmp_size(data: bytes | FileRange) -> tuple[int, int]:
    if data[14:18] == b"\x0c\0\0\0":  # the header of OS/2
        return _unpack("<HH", data, 18)
    width, height = _unpack("<ii", data, 18)
    return abs(width), abs(height)


def _webp_size(data: bytes | FileRange) -> tuple[int, int]:
    kind = data[12:16]
    if kind == b"VP8X":
        low, middle, high = _unpack("<HHH", data, 24)
        return (low | (middle & 0xFF) << 16) + 1, (middle >> 8 | high << 8) + 1
    if kind == b"VP8L":
        bits = _unpack("<I", data, 21)[0]
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8 ":
        width, height = _unpack("<HH", data, 26)
        return width & 0x3FFF, height & 0x3FFF
    return 0, 0


def walk_gif(data: bytes | FileRange) -> Gif:
    """Reads the blocks of a GIF without decoding it."""
    try:
        width, height, flags = _unpack("<HHB", data, 6)
    except struct.error:
        return Gif(0, 0, 0, 0, True)
    at, end, steps = 13 + _colors(flags), len(data), 0
    in_blocks = in_frame = finished = False
    canvas, first, largest = (width, height), None, (0, 0)
    total = first_end = 0
    while at < end and steps < MAX_GIF_STEPS and not finished:
        steps += 1
        head = data[at]
        if in_blocks:
            at += (head + 1) * (_run(data, at) if head else 1)
            in_blocks = head > 0
            if in_frame and not in_blocks and not first_end:
                first_end, finished = at, first == canvas  # no frame may be larger
        elif head == 0x21:  # an extension
            at, in_blocks, in_frame = at + 2, True, False
        elif head == 0x2C and at + 10 < end:  # a frame
            left, top, wide, high, flags = _unpack("<HHHHB", data, at + 1)
            at, in_blocks, in_frame = at + 11 + _colors(flags), True, True
            first = first or (wide, high)
            largest = max(largest[0], wide), max(largest[1], high)
            width, height = max(width, left + wide), max(height, top + high)
            total += wide * high
        else:  # the last block, or damage
            finished = True
    complete = at >= end or finished
    # TensorFlow pads the first frame to the largest: if it is the largest, no other is needed.
    if first_end and first == largest:
        return Gif(width, height, first[0] * first[1], first_end, complete)
    return Gif(width, height, total, 0, complete)


def _run(data: bytes | FileRange, at: int) -> int:
    """Returns the number of consecutive blocks of the same size, up to `GIF_RUN`."""
    head, run = data[at], 1
    while run < GIF_RUN and (next_at := at + run * (head + 1)) < len(data):
        if data[next_at] != head:
            break
        run += 1
    return run


def _colors(flags: int) -> int:
    """Returns the size of a color table in bytes."""
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0
