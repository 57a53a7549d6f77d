"""A directory of images in all formats, with twelve broken files and unusual names."""

import os
import struct
import zlib

import numpy as np
import PIL.Image

from tests.datasets import sample_files


def bmp_with_padded_rows(height=5, width=7):
    """Returns a BMP whose rows, of 21 bytes, are padded to 24."""
    return sample_files.encoded(PIL.Image.fromarray(sample_files.photo(height, width)), "BMP")


def good_images():
    """Returns name -> bytes, one for each format that can be converted."""
    image = PIL.Image.fromarray(sample_files.photo(24, 32))
    rotated = PIL.Image.Exif()
    rotated[0x0112] = 6
    deep = PIL.Image.fromarray((np.arange(24 * 32).reshape(24, 32) * 85).astype(np.uint16))
    gif = image.convert("P")
    return {
        "plain.jpg": sample_files.encoded(image, "JPEG"),
        "progressive.jpg": sample_files.encoded(image, "JPEG", progressive=True),
        "gray.jpg": sample_files.encoded(image.convert("L"), "JPEG"),
        "cmyk.jpg": sample_files.encoded(image.convert("CMYK"), "JPEG"),
        "rotated.jpg": sample_files.encoded(image, "JPEG", exif=rotated),
        "plain.png": sample_files.encoded(image, "PNG"),
        "gray.png": sample_files.encoded(image.convert("L"), "PNG"),
        "palette.png": sample_files.encoded(gif, "PNG"),
        "deep.png": sample_files.encoded(deep, "PNG"),
        "bits.png": sample_files.encoded(image.convert("1"), "PNG"),
        "alpha.png": sample_files.encoded(image.convert("RGBA"), "PNG"),
        "gray_alpha.png": sample_files.encoded(image.convert("LA"), "PNG"),
        "transparent.png": sample_files.encoded(image, "PNG", transparency=(0, 0, 0)),
        "moving.gif": sample_files.encoded(
            gif, "GIF", save_all=True, append_images=[gif.rotate(180)]
        ),
        "padded.bmp": bmp_with_padded_rows(),
        "scan.tif": sample_files.encoded(image, "TIFF", compression="tiff_lzw"),
        "lossy.webp": sample_files.encoded(image, "WEBP"),
        "lossless.webp": sample_files.encoded(image, "WEBP", lossless=True),
        "a png by content.jpg": sample_files.encoded(image, "PNG"),
        "no_ending": sample_files.encoded(image, "JPEG"),
        "größe 漢字.jpg": sample_files.encoded(image, "JPEG"),
        " .jpg": sample_files.encoded(image, "JPEG"),
    }


def broken_images():
    """Returns name -> (bytes or None for a broken link, a part of the reason)."""
    jpeg = sample_files.jpeg(60, 80)
    png = sample_files.encoded(PIL.Image.fromarray(sample_files.photo(60, 80)), "PNG")
    return {
        "empty.jpg": (b"", "is empty (0 bytes)"),
        "page.jpg": (b"<!DOCTYPE html><html></html>", "HTML or XML"),
        "half.jpg": (jpeg[:-100], "truncated"),
        "half.png": (png[: len(png) // 2], "cannot be decoded: "),
        "header.png": (png[:20], "cannot be decoded: "),
        "flipped.png": (png[:60] + bytes(20) + png[80:], "cannot be decoded"),
        "huge.png": (huge_png(60_000, 60_000), "has 60000 x 60000 pixels, more than max_pixels="),
        "false_size.jpg": (
            with_false_size(jpeg),
            "has 65500 x 65500 pixels, more than max_pixels=",
        ),
        "heights.tif": (
            sample_files.encoded(PIL.Image.new("F", (9, 9)), "TIFF"),
            "has signed or floating-point samples of 32 bits",
        ),
        "text.txt": (b"these are my cats\n", "starts with b'these ar'"),
        "avif.jpg": (
            sample_files.encoded(PIL.Image.fromarray(sample_files.photo(9, 9)), "AVIF"),
            "(AVIF or HEIC)",
        ),
        "gone.jpg": (None, "cannot be read: No such file or directory"),
    }


def huge_png(width, height):
    """Returns a small PNG whose header has a huge size."""

    def chunk(kind, data):
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(bytes(1000)))
        + chunk(b"IEND", b"")
    )


def with_false_size(jpeg):
    """Returns a JPEG whose header has the size 65500 x 65500."""
    at = jpeg.index(b"\xff\xc0")
    return jpeg[: at + 5] + struct.pack(">HH", 65500, 65500) + jpeg[at + 9 :]


def write(directory, files):
    """Writes {relative path: bytes, or None for a broken link}."""
    for name, content in files.items():
        path = os.path.join(directory, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        if content is None:
            os.symlink("nowhere", path)
        else:
            with open(path, "wb") as file:
                file.write(content)


def mixed_200(directory):
    """Writes 200 files, 12 of them broken, in three classes, and a fourth class that is empty.

    Returns:
      path -> part of the reason, for the broken files.
    """
    good, broken = good_images(), broken_images()
    classes = ("katze", "hund 犬", " ")
    files = {}
    for number, (name, content) in enumerate(good.items()):
        files[f"{classes[number % 3]}/{name}"] = content
    for number in range(200 - len(good) - len(broken)):
        files[f"{classes[number % 3]}/photo_{number:03d}.jpg"] = sample_files.jpeg(20, 30, number)
    reasons = {}
    for number, (name, (content, reason)) in enumerate(broken.items()):
        path = f"{classes[number % 3]}/{name}"
        files[path] = content
        reasons[os.path.join(directory, path)] = reason
    assert len(files) == 200
    assert len(reasons) == 12
    write(directory, files | {"katze/.hidden": b"ignored", "katze/Thumbs.db": b"ignored"})
    os.makedirs(os.path.join(directory, "leer"))
    return reasons
