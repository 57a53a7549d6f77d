"""Files of every format and mode, and their pixels by Pillow."""

import io
import struct
import zlib

import numpy as np
import PIL.Image
import PIL.ImageOps
import PIL.PngImagePlugin

SIZE = (13, 10)  # width and height, odd so that rows are padded
_MODES = {
    "JPEG": ("L", "RGB", "CMYK"),
    "PNG": ("1", "L", "LA", "RGB", "RGBA", "P", "I;16"),
    "GIF": ("1", "L", "RGB", "P"),
    "BMP": ("1", "L", "P", "RGB", "RGBA"),
    "WEBP": ("RGB", "RGBA"),
}


def _pixels():
    """Returns smooth RGBA pixels, of which some are transparent and some are half so."""
    x, y = np.meshgrid(np.linspace(0, 1, SIZE[0]), np.linspace(0, 1, SIZE[1]))
    rgb = np.stack([200 * x, 255 * y, 255 - 120 * x - 90 * y], axis=-1)
    alpha = np.rint(np.clip(2 * x - y, 0, 1) * 255)
    return np.concatenate([np.rint(rgb), alpha[..., np.newaxis]], axis=-1).astype(np.uint8)


def image(mode):
    """Returns an image of a mode of Pillow."""
    rgba = PIL.Image.fromarray(_pixels())
    if mode == "I;16":
        return PIL.Image.fromarray(_pixels()[..., 0].astype(np.uint16) * 257 - 128)
    if mode == "P":
        return rgba.convert("RGB").quantize(64)
    return rgba.convert("LA" if mode == "LA" else mode)


def encoded(mode, format, **save):
    """Returns the bytes of `image(mode)`."""
    file = io.BytesIO()
    settings = {"JPEG": {"quality": 90, "subsampling": 0}, "WEBP": {"lossless": True}}
    image(mode).save(file, format, **settings.get(format, {}) | save)
    return file.getvalue()


def exif(orientation, big=False):
    """Returns EXIF data with an orientation between other tags."""
    data = PIL.Image.Exif()
    data.endian = ">" if big else "<"
    data[0x010E] = "a description"
    data[0x0112] = orientation
    data[0x0131] = "a program of odd length"
    return data.tobytes()


def xmp(text):
    """Returns XMP data with a text."""
    return b"<x:xmpmeta><rdf:RDF>" + text + b"</rdf:RDF></x:xmpmeta>"


def _turned_by_xmp():
    attribute, element = b'tiff:Orientation="6" a="b"', b"<tiff:Orientation>8</tiff:Orientation>"
    yield "JPEG turned by XMP", encoded("RGB", "JPEG", xmp=xmp(attribute))
    more = {"exif": exif(3), "xmp": xmp(attribute)}
    yield "JPEG turned by EXIF before XMP", encoded("RGB", "JPEG", **more)
    yield "WEBP turned by XMP", encoded("RGB", "WEBP", xmp=xmp(element))
    text = PIL.PngImagePlugin.PngInfo()
    text.add_itxt("XML:com.adobe.xmp", xmp(element).decode())
    yield "PNG turned by XMP", encoded("RGB", "PNG", pnginfo=text)
    yield "PNG not turned by XMP", encoded("RGB", "PNG", exif=exif(1), pnginfo=text)


def _transparent_palettes():
    yield "PNG P one transparent color", encoded("P", "PNG", transparency=3)
    yield "PNG P with alpha", encoded("P", "PNG", transparency=bytes(range(0, 256, 4)))
    yield "PNG L one transparent value", encoded("L", "PNG", transparency=120)
    yield "PNG RGB one transparent value", encoded("RGB", "PNG", transparency=(0, 0, 255))
    yield "GIF one transparent color", encoded("P", "GIF", transparency=5)
    yield "GIF interlaced", encoded("P", "GIF", transparency=5, interlace=1)
    yield "GIF not interlaced", encoded("P", "GIF", interlace=0)
    yield "GIF of three frames", _moving_gif()
    yield "GIF smaller than its canvas", _on_canvas(encoded("P", "GIF"))
    transparent = encoded("P", "GIF", transparency=5)
    yield "transparent GIF smaller than its canvas", _on_canvas(transparent)
    yield "BMP of OS/2", _os2(image("RGB"))
    yield "BMP with alpha", _bmp_with_alpha()
    yield "BMP from top to bottom", _top_down(encoded("RGB", "BMP"))
    yield "PNG with 16 bits of color", _deep_png()


def _moving_gif():
    frames = [image("RGB").rotate(angle) for angle in (0, 90, 180)]
    file = io.BytesIO()
    frames[0].save(file, "GIF", save_all=True, append_images=frames[1:], duration=20)
    return file.getvalue()


def _on_canvas(gif):
    """Returns a GIF with a larger canvas, in which the frame is not at the origin."""
    data = bytearray(gif)
    data[6:10] = np.array([SIZE[0] + 4, SIZE[1] + 6], "<u2").tobytes()
    at = data.index(b"\x2c\0\0\0\0", 13 + 3 * 2 ** ((data[10] & 7) + 1))
    data[at + 1 : at + 5] = np.array([3, 2], "<u2").tobytes()
    return bytes(data)


def _rows(array):
    rows = [row.tobytes() + bytes(-row.size % 4) for row in array[::-1]]
    return b"".join(rows)


def _os2(rgb):
    data = _rows(np.asarray(rgb)[..., ::-1])
    sides = np.array([*SIZE, 1, 24], "<u2").tobytes()
    head = b"BM" + np.array([26 + len(data), 0, 26, 12], "<u4").tobytes()
    return head + sides + data


def _bmp_with_alpha():
    data = _rows(_pixels()[..., [2, 1, 0, 3]])
    masks = np.array([0xFF0000, 0xFF00, 0xFF, 0xFF000000], "<u4").tobytes()
    header = np.array([108, *SIZE], "<u4").tobytes() + np.array([1, 32], "<u2").tobytes()
    header += np.array([3, len(data), 0, 0, 0, 0], "<u4").tobytes() + masks
    header += bytes(108 - len(header))
    return b"BM" + np.array([122 + len(data), 0, 122], "<u4").tobytes() + header + data


def _top_down(bmp):
    data = bytearray(bmp)
    data[22:26] = np.array([-SIZE[1]], "<i4").tobytes()
    return bytes(data)


def _deep_png():
    """Returns a PNG with 16 bits per channel, which Pillow reads but does not write."""
    values = _pixels()[..., :3].astype(">u2") * 256 + 200
    rows = b"".join(b"\0" + row.tobytes() for row in values.astype(">u2"))
    header = struct.pack(">IIBBBBB", *SIZE, 16, 2, 0, 0, 0)
    parts = [(b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    chunks = (
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in parts
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


FILES = {
    **{f"{kind} {mode}": encoded(mode, kind) for kind, modes in _MODES.items() for mode in modes},
    **dict(_transparent_palettes()),
    **dict(_turned_by_xmp()),
    **{
        f"{kind} EXIF {number}{' big' * big}": encoded("RGB", kind, exif=exif(number, big))
        for kind in ("JPEG", "PNG", "WEBP")
        for number in range(1, 9)
        for big in (False, True)
    },
}
EXACT = [name for name in FILES if not name.startswith("JPEG")]


def pixels(data, *, upright=True):
    """Returns the pixels of a file, uint8 RGB, by Pillow: upright, and on white."""
    with PIL.Image.open(io.BytesIO(data)) as opened:
        opened.load()
        turned = PIL.ImageOps.exif_transpose(opened) if upright else opened
    if turned.mode.startswith("I"):
        gray = (np.asarray(turned).astype(int) >> 8).astype(np.uint8)
        return np.stack([gray] * 3, axis=-1)
    white = PIL.Image.new("RGBA", turned.size, "white")
    if turned.has_transparency_data:
        white.alpha_composite(turned.convert("RGBA"))
    else:
        white.paste(turned.convert("RGB"))
    return np.asarray(white.convert("RGB"))
