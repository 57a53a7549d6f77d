"""Prepares image files for training: detects the format by content, applies the EXIF orientation,
converts to one or three channels of 8 bits. No TensorFlow, since this runs in worker processes.
"""

import contextlib
import io
import itertools
import re
import struct
import warnings
import zlib
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import PIL.Image

from datasets import duplicates
from slim import _image_limits, _tiff

MAX_PIXELS = _image_limits.MAX_PIXELS
_MAX_EXIF_BYTES = 1 << 16  # Pillow copies each value, and values may overlap
# Limits because Pillow needs microseconds for each.
_MAX_SEGMENTS = 10_000  # of a JPEG, before its first scan
_MAX_CHUNKS = 200_000  # of a PNG
FORMATS = ("JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP")
_ORIENTATION = 0x0112  # in EXIF
_UPRIGHT = {
    2: PIL.Image.Transpose.FLIP_LEFT_RIGHT,
    3: PIL.Image.Transpose.ROTATE_180,
    4: PIL.Image.Transpose.FLIP_TOP_BOTTOM,
    5: PIL.Image.Transpose.TRANSPOSE,
    6: PIL.Image.Transpose.ROTATE_270,
    7: PIL.Image.Transpose.TRANSVERSE,
    8: PIL.Image.Transpose.ROTATE_90,
}
_PNG_EXIF = (b"eXIf", b"Raw profile type exif", b"adobe.xmp")
_MAX_BITS = 16  # per sample
_JPEG_QUALITY = 95  # of re-encoded images
_PLAIN_FRAMES = (0xC0, 0xC1, 0xC2)  # baseline, extended, progressive; others are rare
# In a scan, 0x00 after 0xFF is data, and 0xD0 to 0xD7 are restart markers.
_JPEG_MARKER = re.compile(rb"\xff+[^\x00\xff\xd0-\xd7]", re.S)
_JPEG_END, _JPEG_SCAN, _JPEG_APP1 = 0xD9, 0xDA, 0xE1
_JPEG_BARE = (0x01, 0xD8)  # markers without a length
_OTHER_KINDS = (
    (b"\x00\x00\x00\x0cjP  ", "JPEG 2000"),
    (b"8BPS", "Photoshop"),
    (b"%PDF", "PDF"),
    (b"PK\x03\x04", "ZIP"),
)


class BadImage(ValueError):
    """A file that cannot be used; the text is the reason."""


class Prepared(NamedTuple):
    """An image ready for a record: `format` is "jpeg" or "png", height and width in pixels;
    `fingerprint` is of `duplicates`."""

    encoded: bytes
    format: str
    height: int
    width: int
    fingerprint: bytes = duplicates.NONE


class Rules(NamedTuple):
    """How to prepare an image.

    Attributes:
      max_pixels: maximum number of pixels, checked in the header before memory is allocated.
      upright: whether to apply the EXIF orientation, which decoders of records ignore.
      jpeg_only: whether to convert all images to JPEG.
      verified: whether to decode also the images whose bytes are kept, to detect damage.
      compared: whether to compute the fingerprint; needs `verified`.
    """

    max_pixels: int = MAX_PIXELS
    upright: bool = True
    jpeg_only: bool = False
    verified: bool = True
    compared: bool = False


@contextlib.contextmanager
def pillow_settings() -> Iterator[None]:
    """Disables Pillow's own size limit and its warnings, which name no file.

    Not for threads: both settings apply to the process.
    """
    before = PIL.Image.MAX_IMAGE_PIXELS
    PIL.Image.MAX_IMAGE_PIXELS = None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        PIL.Image.MAX_IMAGE_PIXELS = before


def silence_pillow() -> None:
    """Sets `pillow_settings` for the whole process, except for other modules' warnings."""
    PIL.Image.MAX_IMAGE_PIXELS = None
    warnings.filterwarnings("ignore", module=r"PIL\.")


def prepare(data: bytes, rules: Rules | None = None) -> Prepared:
    """Returns an encoded image that all decoders read alike.

    The bytes of upright JPEG and PNG images with 8-bit gray or RGB are kept. Everything else is
    decoded and re-encoded: CMYK, palettes, 16 bits (the upper 8 are kept), transparency (composited
    on white), GIF (the first frame), BMP, TIFF (the first image), WebP, and images with an EXIF
    orientation. JPEG and lossy WebP become JPEG of quality 95, others PNG.

    Args:
      data: content of the file.
      rules: how to prepare the image; default: `Rules()`.

    Raises:
      BadImage: if the format is not supported, or the image is damaged or too large.
    """
    rules = rules or Rules()
    if not data:
        raise BadImage("is empty (0 bytes)")
    problem = _image_limits.problem(data, rules.max_pixels)
    if problem is not None:
        raise BadImage(problem)
    try:
        tiff = _tiff.read(data) if is_tiff(data) else None
        reduced = _for_pillow(data) if tiff is None else _checked_tiff(data, tiff)
        with PIL.Image.open(io.BytesIO(reduced), formats=FORMATS) as image:
            width, height = image.size
            if width * height > rules.max_pixels:
                raise BadImage(
                    _image_limits.TOO_MANY_PIXELS.format(width, height, rules.max_pixels)
                )
            if rules.verified:
                _check_pixels(image, data)
            is_jpeg = image.format in ("JPEG", "MPO")
            lossy = is_jpeg or rules.jpeg_only or _is_lossy_webp(data)
            # Reading the orientation of a PNG may decode it.
            has_orientation = image.format != "PNG" or any(each in data for each in _PNG_EXIF)
            turn = None
            if rules.upright and has_orientation:
                turn = _UPRIGHT.get(tiff.orientation if tiff else _orientation(image))
            if turn is None and is_jpeg >= rules.jpeg_only and _is_plain(image, data):
                kept = Prepared(data, "jpeg" if lossy else "png", height, width)
                return _compared(kept, image, rules)
            if not rules.verified:
                _check_pixels(image, data)
            plain = _as_8_bits(image, tiff)
            upright = plain if turn is None else plain.transpose(turn)
            return _compared(_encode(upright, lossy), upright, rules)
    except BadImage:
        raise
    except PIL.UnidentifiedImageError:
        raise BadImage(_unsupported(data)) from None
    except Exception as error:  # decoders raise almost any type on malformed bytes
        raise BadImage(f"cannot be decoded: {str(error) or type(error).__name__}") from error


def _compared(prepared: Prepared, image: PIL.Image.Image, rules: Rules) -> Prepared:
    if not rules.compared:
        return prepared
    return prepared._replace(fingerprint=duplicates.fingerprint(image))


def is_tiff(data: bytes) -> bool:
    """Returns whether a file is a TIFF, which TensorFlow does not decode."""
    return data[:4] in _tiff.STARTS


def _check_pixels(image: PIL.Image.Image, data: bytes) -> None:
    image.load()  # decodes all pixels, which detects damage
    if image.format == "PNG":
        _check_chunks(data)


def encode_pixels(pixels: bytes, height: int, width: int, channels: int) -> Prepared:
    """Returns raw pixels, stored as one plane per channel, as a PNG.

    Raises:
      BadImage: if the number of bytes is not that of the pixels.
    """
    if len(pixels) != height * width * channels:
        raise BadImage(f"has {len(pixels)} bytes instead of {height * width * channels}")
    planes = np.frombuffer(pixels, np.uint8).reshape(channels, height, width)
    image = planes[0] if channels == 1 else planes.transpose(1, 2, 0)
    return _encode(PIL.Image.fromarray(np.ascontiguousarray(image)), lossy=False)


def _for_pillow(data: bytes) -> bytes:
    """Returns the part of the bytes that Pillow needs for the pixels and the orientation.

    Raises:
      BadImage: if there are too many chunks or segments to read in a short time.
    """
    if data[:3] == b"GIF":
        first_end = _image_limits.walk_gif(data).first_end
        return data[:first_end] + b";" if first_end else data
    if data[:4] == b"\x89PNG":
        sizes = _chunk_sizes(data)
        if sum(1 for _ in itertools.islice(sizes, _MAX_CHUNKS + 1)) > _MAX_CHUNKS:
            raise BadImage(f"has more than {_MAX_CHUNKS} chunks")
    if data[:2] == b"\xff\xd8":
        _check_segments(data)
    return data


def _chunk_sizes(data: bytes) -> Iterator[int]:
    at = 8
    while at + 8 <= len(data):
        (size,) = struct.unpack_from(">I", data, at)
        yield size
        at += 12 + size


def _check_segments(data: bytes) -> None:
    """Raises BadImage if a JPEG's header has too many segments or too much EXIF data."""
    at, exif = 2, 0
    for _ in range(_MAX_SEGMENTS):
        at = data.find(b"\xff", at)
        if at < 0 or at + 4 > len(data) or data[at + 1] == _JPEG_SCAN:
            return
        if data[at + 1] in (0x00, 0xFF):
            at += 1
            continue
        size = struct.unpack_from(">H", data, at + 2)[0]
        if data[at + 1] == _JPEG_APP1 and data[at + 4 : at + 8] == b"Exif":
            exif += size
            _check_exif(exif)
        at += 2 + size
    raise BadImage(f"has more than {_MAX_SEGMENTS} segments before its first scan")


def _check_exif(size: int) -> None:
    if size > _MAX_EXIF_BYTES:
        raise BadImage(f"has {size} bytes of EXIF, more than {_MAX_EXIF_BYTES}")


def _is_plain(image: PIL.Image.Image, data: bytes) -> bool:
    if image.mode not in ("L", "RGB") or "transparency" in image.info:
        return False
    if image.format in ("JPEG", "MPO"):
        is_known = _jpeg_frame(data) in [(marker, 8) for marker in _PLAIN_FRAMES]
        return is_known and _has_jpeg_end(data)
    if image.format == "PNG":
        # Decoders of an animated PNG return the first frame, or fail.
        return data[24] == 8 and not getattr(image, "is_animated", False)
    return False


def _jpeg_frame(data: bytes) -> tuple[int, int] | None:
    """Returns the marker of a JPEG's coding process, and the number of bits per sample."""
    at = 2
    while at + 9 < len(data):
        if data[at] != 0xFF:
            return None
        marker = data[at + 1]
        if marker == 0xFF:
            at += 1
            continue
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            return marker, data[at + 4]
        at += 2 + struct.unpack_from(">H", data, at + 2)[0]
    return None


def _has_jpeg_end(data: bytes) -> bool:
    """Returns whether there is an end marker, which other decoders require but Pillow does not."""
    at = 2
    while match := _JPEG_MARKER.search(data, at):
        marker, at = match.group()[-1], match.end()
        if marker == _JPEG_END:
            return True
        if marker not in _JPEG_BARE and at + 2 <= len(data):
            at += struct.unpack_from(">H", data, at)[0]
    return False


def _check_chunks(data: bytes) -> None:
    """Raises BadImage for damaged critical chunks, which Pillow alone ignores."""
    at, kind = 8, b""
    while kind != b"IEND":
        header = data[at : at + 8]
        if len(header) < 8:
            raise BadImage("cannot be decoded: it ends before the last chunk of a PNG")
        size, kind = struct.unpack(">I4s", header)
        checksum = data[at + 8 + size : at + 12 + size]
        is_critical = kind[:1].isupper()
        if is_critical and checksum != zlib.crc32(data[at + 4 : at + 8 + size]).to_bytes(4, "big"):
            raise BadImage(f"cannot be decoded: the checksum of its chunk {kind!r} is wrong")
        at += 12 + size


def _orientation(image: PIL.Image.Image) -> int:
    # A PNG may have EXIF data as text, in hexadecimal digits.
    text = image.info.get("Raw profile type exif", "")
    _check_exif(max(len(image.info.get("exif", b"")), len(text) // 2))
    try:
        orientation = image.getexif().get(_ORIENTATION, 1)
    except Exception:  # unreadable EXIF data is ignored
        return 1
    return orientation if isinstance(orientation, int) else 1


def _checked_tiff(data: bytes, tiff: _tiff.Header) -> bytes:
    """Returns the first image of a TIFF, whose samples have to be unsigned, of up to 16 bits."""
    if tiff.bits > _MAX_BITS or not tiff.are_unsigned:
        kind = "" if tiff.are_unsigned else " signed or floating-point"
        raise BadImage(
            f"has{kind} samples of {tiff.bits} bits; supported are unsigned samples of up to"
            f" {_MAX_BITS} bits"
        )
    return _tiff.first_image(data, tiff)


def _as_8_bits(image: PIL.Image.Image, tiff: _tiff.Header | None = None) -> PIL.Image.Image:
    if image.mode.startswith("I"):
        bits = tiff.bits if tiff else _MAX_BITS
        values = (np.asarray(image).astype(np.uint32) >> bits - 8).astype(np.uint8)
        # Of other numbers of bits, Pillow inverts the values itself.
        return PIL.Image.fromarray(255 - values if tiff and tiff.is_white_zero else values)
    if image.mode == "La":  # Pillow converts it to nothing else
        image = image.convert("LA")
    if image.has_transparency_data:
        composite = PIL.Image.new("RGBA", image.size, "white")
        composite.alpha_composite(image.convert("RGBA"))
        return composite.convert("L" if image.mode in ("1", "L", "LA") else "RGB")
    return image.convert("L" if image.mode in ("1", "L") else "RGB")


def _encode(image: PIL.Image.Image, lossy: bool) -> Prepared:
    buffer = io.BytesIO()
    image.info = {}
    if lossy:
        image.save(buffer, "JPEG", quality=_JPEG_QUALITY, subsampling=0)
    else:
        image.save(buffer, "PNG")
    return Prepared(buffer.getvalue(), "jpeg" if lossy else "png", image.height, image.width)


def _is_lossy_webp(data: bytes) -> bool:
    """Returns whether the first frame of a WebP is lossy, from its first chunk with pixels."""
    at = 12
    while data[:4] == b"RIFF" and at + 8 <= len(data):
        kind, size = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        if kind in (b"VP8 ", b"VP8L"):
            return kind == b"VP8 "
        # A frame of an animation has chunks of its own, after 16 bytes.
        at += 8 + (16 if kind == b"ANMF" else size + size % 2)
    return False


def _unsupported(data: bytes) -> str:
    """Returns the error for a file whose format Pillow does not recognize."""
    for magic, ours in _image_limits.FORMATS.items():
        if data.startswith(magic):
            return f"cannot be decoded: its {ours} header is damaged"
    if is_tiff(data):
        return "cannot be decoded: its TIFF header is damaged, or its pixel format is not supported"
    kind = next((kind for magic, kind in _OTHER_KINDS if data.startswith(magic)), None)
    if kind is None and data.lstrip()[:1] == b"<":
        kind = "HTML or XML"
    if kind is None and data[4:12] in (b"ftypavif", b"ftypheic"):
        kind = "AVIF or HEIC"
    detected = kind or f"starts with {data[:8]!r}"
    return f"is not a {', '.join(FORMATS[:-1])} or WebP image ({detected})"
