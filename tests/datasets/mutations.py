"""Small valid files, and reproducibly damaged versions of them."""

import random
import struct
from collections.abc import Callable

import numpy as np
import PIL.Image

from tests.datasets import sample_files

# Extreme values of sizes and counts.
_EXTREMES = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
_HEADERS = (b"\xff\xd8\xff\xe0", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"BM", b"RIFF", b"II*\0", b"<htm")


def small_images() -> dict[str, bytes]:
    """Returns name -> bytes of an image in each format and mode."""
    image = PIL.Image.fromarray(sample_files.photo(20, 28))
    deep = PIL.Image.fromarray((np.arange(20 * 28).reshape(20, 28) * 100).astype(np.uint16))
    palette = image.convert("P")
    rotated = PIL.Image.Exif()
    rotated[0x0112] = 6
    return {
        "gray.jpg": sample_files.encoded(image.convert("L"), "JPEG"),
        "rgb.jpg": sample_files.encoded(image, "JPEG"),
        "cmyk.jpg": sample_files.encoded(image.convert("CMYK"), "JPEG"),
        "progressive.jpg": sample_files.encoded(image, "JPEG", progressive=True),
        "rotated.jpg": sample_files.encoded(image, "JPEG", exif=rotated),
        "rgb.png": sample_files.encoded(image, "PNG"),
        "gray.png": sample_files.encoded(image.convert("L"), "PNG"),
        "palette.png": sample_files.encoded(palette, "PNG"),
        "deep.png": sample_files.encoded(deep, "PNG"),
        "alpha.png": sample_files.encoded(image.convert("RGBA"), "PNG"),
        "frames.gif": sample_files.encoded(palette, "GIF", save_all=True, append_images=[palette]),
        "rgb.bmp": sample_files.encoded(image, "BMP"),
        "raw.tif": sample_files.encoded(image, "TIFF"),
        "lzw.tif": sample_files.encoded(deep, "TIFF", compression="tiff_lzw"),
        "jpeg.tif": sample_files.encoded(image, "TIFF", compression="jpeg"),
        "lossy.webp": sample_files.encoded(image, "WEBP"),
        "lossless.webp": sample_files.encoded(image, "WEBP", lossless=True),
    }


def mutated(content: bytes, rng: random.Random) -> bytes:
    """Returns the content with one to three random changes."""
    data = bytearray(content)
    for _ in range(rng.randint(1, 3)):
        rng.choice(_DAMAGES)(data, rng)
    return bytes(data)


def _flip_bits(data: bytearray, rng: random.Random) -> None:
    for _ in range(rng.choice((1, 1, 2, 8, 32)) if data else 0):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def _truncate(data: bytearray, rng: random.Random) -> None:
    del data[rng.randrange(len(data) + 1) :]


def _insert(data: bytearray, rng: random.Random) -> None:
    at = rng.randrange(len(data) + 1)
    data[at:at] = rng.randbytes(rng.choice((1, 2, 4, 50)))


def _patch_a_size(data: bytearray, rng: random.Random) -> None:
    # Headers come first, so half of the patches go there.
    room = min(len(data), 64) if rng.random() < 0.5 else len(data)
    code = rng.choice(("<H", ">H", "<I", ">I"))
    if room >= 4:
        limit = (1 << 8 * struct.calcsize(code)) - 1
        at = rng.randrange(room - 3)
        struct.pack_into(code, data, at, rng.choice(_EXTREMES) & limit)


def _swap_header(data: bytearray, rng: random.Random) -> None:
    header = rng.choice(_HEADERS)
    data[: len(header)] = header


def _zero(data: bytearray, rng: random.Random) -> None:
    at = rng.randrange(len(data) + 1)
    end = min(len(data), at + rng.choice((4, 16, 100)))
    data[at:end] = bytes(end - at)


def _repeat(data: bytearray, rng: random.Random) -> None:
    at = rng.randrange(len(data) + 1)
    data[at:at] = data[at : at + rng.choice((4, 30, 200))]


Damage = Callable[[bytearray, random.Random], None]
_DAMAGES: tuple[Damage, ...] = (
    _flip_bits,
    _flip_bits,
    _truncate,
    _insert,
    _patch_a_size,
    _patch_a_size,
    _swap_header,
    _zero,
    _repeat,
)


# ---- TFRecord files ------------------------------------------------------------------------------


def split_records(content: bytes) -> list[bytes] | None:
    """Returns the records of a TFRecord file, or None if it is damaged.

    An independent implementation of the format, as a reference for readers.
    """
    records, at = [], 0
    while at < len(content):
        head = content[at : at + 12]
        if len(head) < 12 or masked_crc(head[:8]) != head[8:]:
            return None
        size = struct.unpack("<Q", head[:8])[0]
        record = content[at + 12 : at + 12 + size]
        if masked_crc(record) != content[at + 12 + size : at + 16 + size]:
            return None
        records.append(record)
        at += 16 + size
    return records


def join_records(records: list[bytes]) -> bytes:
    """Returns a TFRecord file."""
    parts = []
    for record in records:
        size = struct.pack("<Q", len(record))
        parts += [size, masked_crc(size), record, masked_crc(record)]
    return b"".join(parts)


def mutated_shard(content: bytes, rng: random.Random) -> bytes:
    """Returns a shard with damaged bytes, damaged records (valid checksums) or wrong lengths."""
    kind = rng.random()
    if kind < 0.7:
        return mutated(content, rng)
    records = split_records(content)
    assert records
    place = rng.randrange(len(records))
    if kind < 0.8:  # damages a record, with a valid checksum
        records[place] = mutated(records[place], rng)
    elif kind < 0.85:
        records.insert(place, rng.choice(records))
    elif kind < 0.9:
        del records[place]
    else:  # a wrong length, with a valid checksum
        size = struct.pack("<Q", rng.choice((*_EXTREMES, 1 << 40, (1 << 63) - 1, (1 << 64) - 1)))
        before = join_records(records[:place])
        return before + size + masked_crc(size) + content[len(before) + 12 :]
    return join_records(records)


def masked_crc(data: bytes) -> bytes:
    """Returns the four bytes that follow `data` in a TFRecord file."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _CRC_TABLE[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    crc ^= 0xFFFFFFFF
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def _crc_table() -> list[int]:
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return table


_CRC_TABLE = _crc_table()


def label_of(record: bytes) -> int | None:
    """Returns the label in a record, or None if it has no readable label."""
    import tensorflow as tf  # not needed to fuzz archives

    try:
        features = tf.train.Example.FromString(record).features.feature
        return features["image/class/label"].int64_list.value[0]
    except Exception:  # its type depends on protobuf's implementation
        return None
