"""TIFF images: all kinds have the same pixels everywhere, and expensive ones are rejected."""

import io
import struct

import numpy as np
import PIL.Image
import pytest

from datasets import images
from slim import _image_limits, _tiff
from slim._file_ranges import FileRange
from tests import tiff_files

RGB, RGB_PIXELS = tiff_files.FILES["< RGB"]


def pixels(prepared):
    with PIL.Image.open(io.BytesIO(prepared.encoded)) as image:
        return np.asarray(image.convert("RGB"))


def tag(number, kind, count, value, order="<"):
    return number, kind, count, struct.pack(order + value[0], *value[1:])


@pytest.mark.parametrize("name", tiff_files.FILES)
def test_pixels_are_kept_as_png(name):
    data, expected = tiff_files.FILES[name]
    prepared = images.prepare(data)
    assert prepared.format == "png"
    assert (prepared.height, prepared.width) == expected.shape[:2]
    np.testing.assert_array_equal(pixels(prepared), expected)


def test_orientation_is_ignored_if_records_keep_the_stored_pixels():
    data, _ = tiff_files.FILES["orientation 6"]
    stored = images.prepare(data, images.Rules(upright=False))
    np.testing.assert_array_equal(pixels(stored), RGB_PIXELS)


def test_size_is_that_of_the_header(tmp_path):
    for name, (data, expected) in tiff_files.FILES.items():
        sides = expected.shape[1::-1]
        swapped = name in [f"orientation {number}" for number in range(5, 9)]
        assert _image_limits.size(data) == (sides[::-1] if swapped else sides), name
    (tmp_path / "a").write_bytes(RGB)
    with open(tmp_path / "a", "rb") as file:
        assert _image_limits.size(FileRange(file, 0, len(RGB))) == RGB_PIXELS.shape[1::-1]


def test_limits_are_checked_before_decoding(tmp_path):
    with pytest.raises(images.BadImage, match="^has 13 x 10 pixels, more than max_pixels=129$"):
        images.prepare(RGB, images.Rules(129))
    tile = [tag(322, 4, 1, ("I", 1 << 20)), tag(323, 4, 1, ("I", 1 << 20))]
    with pytest.raises(images.BadImage, match="^has 1048576 x 1048576 pixels, more than"):
        images.prepare(tiff_files.tiff(RGB_PIXELS, more=tile))
    large = tmp_path / "large.tif"
    large.write_bytes(RGB + bytes(_image_limits.METADATA_BYTES))
    assert len(_image_limits.read(large)) > len(RGB)
    with pytest.raises(OSError, match="has 13 x 10 pixels, more than max_pixels=129"):
        _image_limits.read(large, 129)
    no_size = b"II*\0" + bytes(_image_limits.max_bytes(10))
    assert "its size in pixels is not readable" in _image_limits.problem(no_size, 10)


def test_values_that_overlap_and_further_directories_are_not_read():
    """Decoders that copy each value would need 6 GB for this file of 200 kB."""
    more = [tag(40000 + n, 4, 50_000, ("I", 8)) for n in range(16_000)]
    data = bytearray(tiff_files.tiff(RGB_PIXELS, more=more))
    reduced = _tiff.first_image(bytes(data), _tiff.read(bytes(data)))
    assert len(reduced) < len(data) + 400
    np.testing.assert_array_equal(pixels(images.prepare(bytes(data))), RGB_PIXELS)


@pytest.mark.parametrize(
    "data, reason",
    [
        (RGB[:-150], "cannot be decoded: "),
        (RGB[:6], "cannot be decoded: the TIFF directory is truncated"),
        (b"II*\0\x08\0\0\0\x01\0" + struct.pack("<HHII", 256, 3, 9, 99),
         "cannot be decoded: TIFF tag 256 is truncated"),
        (b"II*\0\x08\0\0\0\x01\0" + struct.pack("<HHII", 256, 3, 1 << 30, 9),
         "cannot be decoded: TIFF tag 256 has 1073741824 values"),
        (b"II+\0\x08\0\0\0" + struct.pack("<QQ", 16, 1 << 40),
         "cannot be decoded: a TIFF directory has 1099511627776 entries"),
        (tiff_files.tiff(RGB_PIXELS.astype(np.uint32)),
         "has samples of 32 bits; supported are unsigned samples of up to 16 bits"),
        (tiff_files.tiff(RGB_PIXELS[..., 0], more=[tag(339, 3, 1, ("H", 2))]),
         "has signed or floating-point samples of 8 bits; supported are unsigned samples of"),
        (tiff_files.tiff(RGB_PIXELS, photometric=9),
         "cannot be decoded: its TIFF header is damaged, or its pixel format is not supported"),
    ],
)  # fmt: skip
def test_unusable_file_is_rejected_with_the_reason(data, reason):
    with pytest.raises(images.BadImage) as caught:
        images.prepare(data)
    assert str(caught.value).startswith(reason)


@pytest.mark.parametrize("size", range(0, 100, 7))
def test_truncated_lzw_is_rejected(size):
    data, _ = tiff_files.FILES["RGB tiff_lzw"]
    with pytest.raises(images.BadImage):
        images.prepare(data[:size])
