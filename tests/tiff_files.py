"""TIFF files and their pixels; those of Pillow, and those that Pillow reads but does not write."""

import io
import struct

import numpy as np
import PIL.Image

from tests import image_modes

_HEIGHT, _WIDTH = 10, 13
_RANDOM = np.random.default_rng(0)
_RGB = _RANDOM.integers(0, 256, (_HEIGHT, _WIDTH, 3), np.uint8)
_DEEP = _RANDOM.integers(0, 1 << 16, (_HEIGHT, _WIDTH), np.uint16)


def tiff(pixels, *, order="<", big=False, photometric=None, orientation=1, bits=None, more=()):
    """Returns an uncompressed TIFF of pixels [height, width] or [height, width, 3], as NumPy has
    them; `more` has further tags (tag, type, count, bytes of the value)."""
    pixels = np.asarray(pixels)
    channels = pixels.shape[2] if pixels.ndim == 3 else 1
    data = pixels.astype(pixels.dtype.newbyteorder(order)).tobytes()
    if bits == 12:
        pairs = np.concatenate([pixels, np.zeros_like(pixels[:, :1])], 1).reshape(_HEIGHT, -1, 2)
        first, second = pairs[..., 0].astype(int), pairs[..., 1].astype(int)
        parts = first >> 4, (first & 15) << 4 | second >> 8, second & 255
        rows = np.stack(parts, -1).astype(np.uint8).reshape(_HEIGHT, -1)
        data = rows[:, : (_WIDTH * 12 + 7) // 8].tobytes()
    bits = bits or 8 * pixels.itemsize
    if photometric is None:
        photometric = 2 if channels == 3 else 1
    offset, start = ("Q", 16) if big else ("I", 8)
    integer, code = ("Q", 16) if big else ("I", 4)

    def long(tag, value):
        return tag, code, 1, struct.pack(order + integer, value)

    def shorts(tag, *values):
        return tag, 3, len(values), struct.pack(f"{order}{len(values)}H", *values)

    tags = sorted(
        [
            long(256, _WIDTH), long(257, _HEIGHT), shorts(258, *[bits] * channels),
            shorts(259, 1), shorts(262, photometric), long(273, start), shorts(274, orientation),
            shorts(277, channels), long(278, 1 << 31), long(279, len(data)), *more,
        ]
    )  # fmt: skip
    inline, entry = (8, "HHQ") if big else (4, "HHI")
    begin = start + len(data)
    after = begin + (8 if big else 2) + len(tags) * (inline + (12 if big else 8)) + inline
    directory, values = struct.pack(order + ("Q" if big else "H"), len(tags)), b""
    for tag, kind, count, value in tags:
        directory += struct.pack(order + entry, tag, kind, count)
        if len(value) > inline:
            value, values = struct.pack(order + offset, after + len(values)), values + value
        directory += value.ljust(inline, b"\0")
    mark = {"<": b"II", ">": b"MM"}[order] + struct.pack(order + "H", 43 if big else 42)
    mark += struct.pack(order + "HHQ", 8, 0, begin) if big else struct.pack(order + "I", begin)
    return mark + data + directory + bytes(inline) + values


def _gray(values):
    return np.stack([values.astype(np.uint8)] * 3, axis=-1)


def _written():
    """Yields name, file, and pixels by NumPy, of files that no program had to read."""
    for order in "<>":
        for big in (False, True):
            kind = f"{'big ' * big}{order}"
            settings = {"order": order, "big": big}
            yield f"{kind} RGB", tiff(_RGB, **settings), _RGB
            yield f"{kind} 16 bits", tiff(_DEEP, **settings), _gray(_DEEP >> 8)
            yield (
                f"{kind} 16 bits of color",
                tiff(_RGB.astype(np.uint16) * 256 + 200, **settings),
                _RGB,
            )
    yield "white is 0", tiff(_RGB[..., 0], photometric=0), _gray(255 - _RGB[..., 0])
    yield "16 bits, white is 0", tiff(_DEEP, photometric=0), _gray(255 - (_DEEP >> 8))
    yield "12 bits", tiff(_DEEP >> 4, bits=12), _gray(_DEEP >> 8)
    swapped = np.swapaxes(_RGB, 0, 1)
    upright = (
        *(_RGB, np.fliplr(_RGB), np.rot90(_RGB, 2), np.flipud(_RGB)),
        *(swapped, np.fliplr(swapped), np.rot90(swapped, 2), np.flipud(swapped)),
    )
    for number, expected in enumerate(upright, 1):
        yield f"orientation {number}", tiff(_RGB, orientation=number), expected


def _saved():
    """Yields name and file of Pillow's modes and compressions."""
    many = ("raw", "tiff_lzw", "tiff_adobe_deflate", "packbits")
    kinds = {
        "1": ("raw", "tiff_lzw", "group4", "tiff_ccitt"), "L": (*many, "jpeg"), "P": many[:2],
        "LA": many[:2], "RGB": (*many, "jpeg"), "RGBA": many[:2], "CMYK": (*many[:2], "jpeg"),
        "I;16": many[:3],
    }  # fmt: skip
    for mode, compressions in kinds.items():
        for compression in compressions:
            yield (
                f"{mode} {compression}",
                image_modes.encoded(mode, "TIFF", compression=compression),
            )
    pages, file = image_modes.image("RGB"), io.BytesIO()
    more = [pages.rotate(90), PIL.Image.new("L", (5000, 10))]
    pages.save(file, "TIFF", save_all=True, append_images=more, compression="tiff_lzw")
    yield "three pages", file.getvalue()


# Name -> bytes, and pixels uint8 RGB: upright, on white.
FILES = {
    **{name: (data, pixels) for name, data, pixels in _written()},
    **{name: (data, image_modes.pixels(data)) for name, data in _saved()},
}
