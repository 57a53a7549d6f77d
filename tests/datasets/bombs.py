"""Small files that are expensive to decode, and the errors that reject them."""

import struct
import zlib

import numpy as np
import PIL.Image

from slim import _image_limits
from tests.datasets import image_folder, sample_files

JPEG = sample_files.jpeg(16, 16)


def chunk(kind, data):
    """Returns a chunk of a PNG."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width, height, *chunks, rows=None):
    """Returns a gray PNG of zeros, with further chunks before its pixels."""
    pack = zlib.compressobj(9)
    pixels = b"".join(pack.compress(bytes(width + 1)) for _ in range(rows or height)) + pack.flush()
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    parts = (chunk(b"IHDR", header), *chunks, chunk(b"IDAT", pixels), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def text(size=7_900_000):
    """Returns a chunk with a compressed text of this size."""
    return chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(size), 9))


def webp(*chunks):
    """Returns a WebP of chunks (kind, content)."""
    body = b"WEBP"
    for kind, content in chunks:
        body += kind + struct.pack("<I", len(content)) + content + bytes(len(content) % 2)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def lossless(width, height):
    """Returns the chunk of an image of one color."""
    return b"VP8L", b"\x2f" + struct.pack(
        "<I", width - 1 | (height - 1) << 14
    ) + b"\x88\x88\x08\0\0"


def extended(width, height, flags=0):
    """Returns the chunk with the canvas of a WebP."""
    sides = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return b"VP8X", bytes([flags, 0, 0, 0]) + sides


def gif(canvas, *frames, before=b""):
    """Returns a GIF with frames (width, height) of one color; large ones have almost no pixels."""
    parts = [b"GIF89a", struct.pack("<HH", *canvas), b"\x80\0\0", bytes(6), before]
    for sides in frames:
        bits = "101" + "000100" * min(sides[0] * sides[1], 700) + "100"  # from the last code on
        content = int(bits, 2).to_bytes(len(bits) // 8 + 1, "little")
        blocks = [content[at : at + 255] for at in range(0, len(content), 255)]
        parts += [b",", struct.pack("<HHHH", 0, 0, *sides), b"\0\x02"]
        parts += [bytes([len(block)]) + block for block in blocks] + [b"\0"]
    return b"".join([*parts, b";"])


def moving_gif(width, height, count):
    """Returns a GIF whose frames are all as large as the first."""
    frames = [PIL.Image.new("P", (width, height), number % 2) for number in range(count)]
    return sample_files.encoded(
        frames[0], "GIF", save_all=True, append_images=frames[1:], disposal=2
    )


def many_scans(side, count):
    """Returns a progressive JPEG that repeats its last scan `count` times."""
    data = sample_files.encoded(PIL.Image.new("RGB", (side, side)), "JPEG", progressive=True)
    return data[:-2] + data[data.rindex(b"\xff\xda") : -2] * count + data[-2:]


def with_segments(size, count, marker=0xE4):
    """Returns a JPEG with `count` APP segments of `size` bytes."""
    segment = bytes([0xFF, marker]) + struct.pack(">H", size) + bytes(size - 2)
    return JPEG[:2] + segment * count + JPEG[2:]


def bmp(width, height, header=40):
    """Returns the header of a BMP."""
    sides = struct.pack("<HH" if header == 12 else "<ii", width, height)
    return b"BM" + bytes(12) + struct.pack("<I", header) + sides + bytes(40)


def _pixels(width, height):
    return f"has {width} x {height} pixels, more than max_pixels=89478485"


def rejected():
    """Returns name -> (file, reason of the rejection)."""
    limit = "but an image of 16 x 16 pixels may have at most 8390656"
    large = with_segments(65533, 160)
    comment = b"!\xfe" + b"\x01a\x02bb" * 4000 + b"\0"
    return {
        "gray.png": (png(30_000, 16_000, rows=1), _pixels(30_000, 16_000)),
        "false_size.png": (
            image_folder.huge_png(0xFFFFFFFF, 0xFFFFFFFF),
            _pixels(*[0xFFFFFFFF] * 2),
        ),
        "texts.png": (
            png(8, 8, *[text()] * 20),
            "has 17 or more compressed texts, but a PNG may have at most 16",
        ),
        "tiny.webp": (webp(lossless(16_384, 16_384)), _pixels(16_384, 16_384)),
        "canvas.webp": (
            webp(extended(16_000, 16_000), lossless(8, 8)),
            _pixels(16_000, 16_000),
        ),
        "false_size.jpg": (image_folder.with_false_size(JPEG), _pixels(65_500, 65_500)),
        "scans.jpg": (
            many_scans(200, 500),
            "has 65 or more scans, but a JPEG of 200 x 200 pixels may have at most 64",
        ),
        "segments.jpg": (large, f"has {len(large)} bytes, {limit}"),
        "frame.gif": (gif((1, 1), (65_535, 65_535)), _pixels(65_535, 65_535)),
        "canvas.gif": (gif((65_535, 65_535), (1, 1)), _pixels(65_535, 65_535)),
        "frames.gif": (
            gif((9_000, 9_000), (1, 1), (9_000, 9_000), (9_000, 9_000)),
            "has frames with 162000001 pixels in total, more than max_pixels=89478485",
        ),
        "comments.gif": (gif((9, 9), (9, 9), before=comment), "has too many blocks for a GIF"),
        "zeros.jpg": (
            bytes(9 << 20),
            _image_limits.NO_IMAGE,
        ),
        "image.jxl": (b"\xff\n" + bytes(50), _image_limits.JPEG_XL),
        "large.bmp": (bmp(60_000, -60_000), _pixels(60_000, 60_000)),
        "old.bmp": (bmp(60_000, 60_000, 12), _pixels(60_000, 60_000)),
    }


def large(height=2_100, width=2_000):
    """Returns name -> file of images within the limits, by default of more than 12 MB."""
    noise = np.random.default_rng(0).integers(0, 256, [height, width, 3]).astype(np.uint8)
    image = PIL.Image.fromarray(noise)
    return {
        "large.png": sample_files.encoded(image, "PNG", compress_level=0),
        "large.jpg": sample_files.encoded(image, "JPEG", quality=100, subsampling=0),
    }


def accepted():
    """Returns name -> file of large or unusual images within the limits."""
    image = PIL.Image.fromarray(sample_files.photo(24, 32))
    noise = np.random.default_rng(0).integers(0, 256, [300, 300, 3]).astype(np.uint8)
    frames = [PIL.Image.fromarray(np.roll(sample_files.photo(24, 32), n, 1)) for n in range(3)]
    animation = {"save_all": True, "append_images": frames[1:]}
    return image_folder.good_images() | {
        "moving.png": sample_files.encoded(frames[0], "PNG", **animation),
        "many.gif": moving_gif(40, 30, 30),
        "growing.gif": gif((30, 20), (4, 4), (30, 20)),
        "long.gif": gif((30, 20), *[(30, 20)] * 20_000),
        "noise.png": sample_files.encoded(PIL.Image.fromarray(noise), "PNG"),
        "texts.png": png(8, 8, *[text(1000)] * 16),
        "scans.jpg": many_scans(64, 50),
        "segments.jpg": with_segments(65533, 100),
        "optimized.jpg": sample_files.encoded(image, "JPEG", optimize=True, quality=30),
        "profile.jpg": sample_files.encoded(image, "JPEG", icc_profile=bytes(70_000)),
        "comment.jpg": sample_files.encoded(image, "JPEG", comment=b"\xff\xda" * 10),
    }
