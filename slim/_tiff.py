"""The first image of a TIFF: its header, and the file reduced to it; no TensorFlow here.

Decoders walk all directories of a file and copy each value, which may overlap, so that a small file
can take any amount of memory and time. The reduced file has one directory, with each tag once.

TIFF 6.0 and BigTIFF (https://libtiff.gitlab.io/libtiff/specification/bigtiff.html).
"""

import struct
from collections.abc import Mapping
from typing import NamedTuple

from slim._file_ranges import FileRange

STARTS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_BIG = (b"II+\0", b"MM\0+")
_WIDTH, _HEIGHT, _BITS, _PHOTOMETRIC, _ORIENTATION = 256, 257, 258, 262, 274
_ROWS_PER_STRIP, _TILE_WIDTH, _TILE_HEIGHT, _SAMPLE_FORMAT = 278, 322, 323, 339
# What the pixels depend on, besides the orientation: a decoder would apply it as well.
_KEPT = frozenset(
    (_WIDTH, _HEIGHT, _BITS, 259, _PHOTOMETRIC, 266, 273, 277, _ROWS_PER_STRIP, 279, 284, 292, 293)
    + (317, 320, _TILE_WIDTH, _TILE_HEIGHT, 324, 325, 332, 338, _SAMPLE_FORMAT, 347, 529, 530)
    + (531, 532)
)
_TYPE_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 16: 8}
_INTEGERS = {1: "B", 3: "H", 4: "I", 16: "Q"}
_LONG, _LONG8 = 4, 16
_MAX_ENTRIES = 1 << 16
_MAX_VALUES = 1 << 18  # of a tag, such as the offsets of the strips


class _Entry(NamedTuple):
    type: int
    number: int
    value: bytes


class Header(NamedTuple):
    """The tags of the first image.

    Attributes:
      order: byte order, "<" or ">".
      entries: tag -> its first entry.
    """

    order: str
    entries: Mapping[int, _Entry]

    def value(self, tag: int, default: int = 0) -> int:
        """Returns the first value of an integer tag, or the default."""
        entry = self.entries.get(tag)
        if entry is None or not entry.number or entry.type not in _INTEGERS:
            return default
        return int(struct.unpack_from(self.order + _INTEGERS[entry.type], entry.value)[0])

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the pixels to decode: of the image, and at least of a tile."""
        width, height = self.value(_WIDTH), self.value(_HEIGHT)
        if not width or not height:
            return 0, 0
        return max(width, self.value(_TILE_WIDTH)), max(height, self.value(_TILE_HEIGHT))

    @property
    def orientation(self) -> int:
        """Orientation as in EXIF."""
        return self.value(_ORIENTATION, 1)

    @property
    def bits(self) -> int:
        """Bits per sample."""
        return self.value(_BITS, 1)

    @property
    def are_unsigned(self) -> bool:
        """Whether the samples are unsigned integers."""
        return self.value(_SAMPLE_FORMAT, 1) == 1

    @property
    def is_white_zero(self) -> bool:
        """Whether 0 is white, in a grayscale image."""
        return self.value(_PHOTOMETRIC) == 0


def read(data: bytes | FileRange) -> Header:
    """Returns the header of a file that begins with one of `STARTS`.

    Raises:
      ValueError: if it is damaged.
    """
    order = "<" if data[:1] == b"I" else ">"
    is_big = data[:4] in _BIG
    offset_type, count_type, entry_type = ("Q", "Q", "HHQ8s") if is_big else ("I", "H", "HHI4s")
    entries: dict[int, _Entry] = {}
    try:
        at = _unpack(order + offset_type, data, 8 if is_big else 4)[0]
        count = _unpack(order + count_type, data, at)[0]
        if count > _MAX_ENTRIES:
            raise ValueError(f"a TIFF directory has {count} entries")
        layout = struct.Struct(order + entry_type)
        at += struct.calcsize(count_type)
        for tag, kind, number, inline in layout.iter_unpack(data[at : at + count * layout.size]):
            if tag not in (*_KEPT, _ORIENTATION) or tag in entries or kind not in _TYPE_SIZES:
                continue
            if number > _MAX_VALUES:
                raise ValueError(f"TIFF tag {tag} has {number} values")
            size = number * _TYPE_SIZES[kind]
            value = inline[:size]
            if size > len(inline):
                begin = struct.unpack(order + offset_type, inline)[0]
                value = data[begin : begin + size]
            if len(value) < size:
                raise ValueError(f"TIFF tag {tag} is truncated")
            entries[tag] = _Entry(kind, number, bytes(value))
    except struct.error:
        raise ValueError("the TIFF directory is truncated") from None
    return Header(order, entries)


def first_image(data: bytes, header: Header) -> bytes:
    """Returns a TIFF that has only the first image, with the orientation that its pixels have.

    Args:
      data: the file.
      header: of the file.

    Raises:
      struct.error: if it would be larger than 4 GB.
    """
    order = header.order
    kept = sorted((tag, entry) for tag, entry in header.entries.items() if tag in _KEPT)
    begin = len(data) + len(data) % 2
    at = begin + 2 + 12 * len(kept) + 4
    entries, values = [], []
    for tag, (kind, count, value) in kept:
        if kind == _LONG8:
            kind, value = (
                _LONG,
                struct.pack(f"{order}{count}I", *struct.unpack(f"{order}{count}Q", value)),
            )
        if tag == _ROWS_PER_STRIP:  # memory is allocated for all of them
            rows = min(header.value(tag), header.value(_HEIGHT))
            kind, count, value = _LONG, 1, struct.pack(f"{order}I", rows)
        if len(value) > 4:
            values.append(value + bytes(len(value) % 2))
            value, at = struct.pack(f"{order}I", at), at + len(values[-1])
        entries.append(struct.pack(f"{order}HHI4s", tag, kind, count, value))
    start = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", begin)
    directory = struct.pack(f"{order}H", len(kept)) + b"".join(entries) + bytes(4)
    return b"".join((start, data[8:], bytes(len(data) % 2), directory, *values))


def _unpack(layout: str, data: bytes | FileRange, at: int) -> tuple[int, ...]:
    return struct.unpack(layout, data[at : at + struct.calcsize(layout)])
