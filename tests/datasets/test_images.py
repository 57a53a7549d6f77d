"""Images of every format: which are kept, re-encoded and rejected."""

import io
import os
import re
import struct
import warnings

import numpy as np
import PIL.Image
import pytest
import tensorflow as tf

from datasets import images, sources
from tests import memory
from tests.datasets import image_folder, sample_files

GOOD = image_folder.good_images()
BROKEN = image_folder.broken_images()
UNCHANGED = {
    "plain.jpg",
    "progressive.jpg",
    "gray.jpg",
    "plain.png",
    "gray.png",
    "a png by content.jpg",
    "no_ending",
    "größe 漢字.jpg",
    " .jpg",
}
IMAGE = sample_files.photo(24, 32).astype(int)


@pytest.fixture(autouse=True)
def _settings():
    with images.pillow_settings():
        yield


def decoded(prepared):
    """Returns the pixels as the input pipeline decodes them."""
    return tf.io.decode_image(prepared.encoded, channels=3).numpy().astype(int)


@pytest.mark.parametrize("name", GOOD)
def test_every_format_is_decodable_by_tensorflow(name):
    prepared = images.prepare(GOOD[name])
    pixels = decoded(prepared)
    assert pixels.shape == (prepared.height, prepared.width, 3)
    starts = {"jpeg": b"\xff\xd8", "png": b"\x89PNG"}
    assert prepared.encoded.startswith(starts[prepared.format])
    assert (prepared.encoded == GOOD[name]) == (name in UNCHANGED)


@pytest.mark.parametrize(
    "name, format, tolerance",
    [
        ("plain.jpg", "jpeg", 40),
        ("cmyk.jpg", "jpeg", 40),
        ("plain.png", "png", 0),
        ("alpha.png", "png", 0),
        ("lossy.webp", "jpeg", 40),
        ("lossless.webp", "png", 0),
        ("palette.png", "png", 100),
        ("moving.gif", "png", 100),
    ],
)
def test_colors_are_kept(name, format, tolerance):
    prepared = images.prepare(GOOD[name])
    assert prepared.format == format
    assert np.abs(decoded(prepared) - IMAGE).max() <= tolerance
    assert np.abs(decoded(prepared) - IMAGE).mean() <= tolerance / 5


def test_gray_images_keep_one_channel():
    for name in ("gray.jpg", "gray.png", "deep.png", "bits.png", "gray_alpha.png"):
        prepared = images.prepare(GOOD[name])
        assert tf.io.decode_image(prepared.encoded).shape[2] == 1, name


def test_16_bit_gray_keeps_the_upper_8_bits():
    expected = (np.arange(24 * 32).reshape(24, 32) * 85) >> 8
    pixels = decoded(images.prepare(GOOD["deep.png"]))
    assert (pixels == expected[..., np.newaxis]).all()
    assert (pixels == tf.io.decode_png(GOOD["deep.png"], channels=3).numpy()).all()


def test_16_bit_color_keeps_the_upper_8_bits():
    data = bytearray(sample_files.encoded(PIL.Image.fromarray(sample_files.photo(4, 4)), "PNG"))
    data[24] = 16  # without a new checksum
    with pytest.raises(images.BadImage, match="cannot be decoded: its PNG header is damaged"):
        images.prepare(bytes(data))
    deep = tf.io.encode_png(tf.cast(sample_files.photo(4, 4), tf.uint16) * 257).numpy()
    prepared = images.prepare(deep)
    assert prepared.encoded != deep
    assert (decoded(prepared) == sample_files.photo(4, 4)).all()


def test_transparent_pixels_become_white():
    layers = np.zeros((2, 2, 4), np.uint8)
    layers[0, 0] = (255, 0, 0, 255)
    prepared = images.prepare(sample_files.encoded(PIL.Image.fromarray(layers), "PNG"))
    assert decoded(prepared).tolist() == [
        [[255, 0, 0], [255] * 3],
        [[255] * 3, [255] * 3],
    ]
    keyed = sample_files.encoded(
        PIL.Image.fromarray(np.zeros((2, 2, 3), np.uint8)), "PNG", transparency=(0, 0, 0)
    )
    assert (decoded(images.prepare(keyed)) == 255).all()


def test_animation_is_reduced_to_its_first_frame():
    first, second = (PIL.Image.new("RGB", (3, 2), color) for color in ("red", "blue"))
    for format in ("GIF", "PNG", "WEBP"):
        data = sample_files.encoded(first, format, save_all=True, append_images=[second])
        pixels = decoded(images.prepare(data))
        assert (np.abs(pixels - (255, 0, 0)) < 10).all(), format


@pytest.mark.parametrize("lossless", [True, False])
@pytest.mark.parametrize("extended", ["plain", "exif", "alpha", "moving"])
def test_lossless_webp_becomes_png(lossless, extended):
    pixels = np.random.default_rng(0).integers(0, 256, [8, 9, 3]).astype("uint8")
    image, more = PIL.Image.fromarray(pixels), {}
    if extended == "exif":
        more["exif"] = PIL.Image.Exif()
        more["exif"][0x010E] = "a description of odd length"
    elif extended == "alpha":
        image.putalpha(PIL.Image.new("L", image.size, 255))
    elif extended == "moving":
        more = {"save_all": True, "append_images": [image.rotate(180)]}
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", lossless=lossless, **more)
    prepared = images.prepare(buffer.getvalue())
    assert prepared.format == ("png" if lossless else "jpeg")
    if lossless:
        assert (np.array(PIL.Image.open(io.BytesIO(prepared.encoded))) == pixels).all()


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(format, orientation):
    exif = PIL.Image.Exif()
    exif[0x0112] = orientation
    blocks = np.repeat(np.repeat([[0, 80], [160, 255], [40, 200]], 16, 0), 16, 1).astype(np.uint8)
    gray = PIL.Image.fromarray(blocks).convert("RGB")
    data = sample_files.encoded(gray, format, exif=exif)
    expected = {
        1: blocks,
        2: blocks[:, ::-1],
        3: blocks[::-1, ::-1],
        4: blocks[::-1],
        5: blocks.T,
        6: np.rot90(blocks, -1),
        7: np.rot90(blocks, 2).T,
        8: np.rot90(blocks),
    }[orientation]
    prepared = images.prepare(data)
    assert (prepared.height, prepared.width) == expected.shape
    assert np.abs(decoded(prepared)[..., 0] - expected.astype(int)).max() < 30
    assert (prepared.encoded == data) == (orientation == 1 and format != "WEBP")
    # A second call finds no orientation to apply.
    assert images.prepare(prepared.encoded).encoded == prepared.encoded


def test_exif_orientation_is_ignored_unless_upright():
    rules = images.Rules(upright=False)
    assert images.prepare(GOOD["rotated.jpg"], rules).encoded == GOOD["rotated.jpg"]


@pytest.mark.parametrize("name", GOOD)
def test_jpeg_only_converts_all_images_to_jpeg(name):
    prepared = images.prepare(GOOD[name], images.Rules(jpeg_only=True))
    assert prepared.format == "jpeg"
    assert prepared.encoded.startswith(b"\xff\xd8")
    unchanged = name in UNCHANGED and GOOD[name].startswith(b"\xff\xd8")
    assert (prepared.encoded == GOOD[name]) == unchanged


def test_invalid_exif_is_ignored():
    for exif in (b"Exif\x00\x00II*\x00\xff\xff\xff\x7f", b"Exif\x00\x00nonsense", b"x"):
        data = sample_files.jpeg(exif=exif)
        assert images.prepare(data).encoded == data


def test_bmp_with_padded_rows():
    data = image_folder.bmp_with_padded_rows(5, 7)
    prepared = images.prepare(data)
    assert prepared.format == "png"
    assert (decoded(prepared) == sample_files.photo(5, 7)).all()


def test_unusual_jpeg_is_re_encoded():
    data = sample_files.jpeg()
    at = data.index(b"\xff\xc0")
    assert images.prepare(b"\xff\xd8" + b"\xff" * 3 + data[3:]).format == "jpeg"
    assert images._jpeg_frame(data) == (0xC0, 8)
    assert images._jpeg_frame(data[: at + 1] + b"\xc9" + data[at + 2 :]) == (0xC9, 8)
    assert images._jpeg_frame(b"\xff\xd8\x00\x00" + bytes(20)) is None
    assert images._jpeg_frame(b"\xff\xd8") is None


@pytest.mark.parametrize("name", [name for name, (data, _) in BROKEN.items() if data is not None])
def test_broken_image_is_rejected_with_the_reason(name):
    data, reason = BROKEN[name]
    with pytest.raises(images.BadImage) as caught:
        images.prepare(data)
    assert reason in str(caught.value)


@pytest.mark.parametrize(
    "data, kind",
    [
        (b"\x00\x00\x00\x0cjP  \r\n\x87\n", "(JPEG 2000)"),
        (b"\xff\x0a" + bytes(20), "(JPEG XL)"),
        (b"8BPS" + bytes(20), "(Photoshop)"),
        (b"%PDF-1.7" + bytes(20), "(PDF)"),
        (b"\x00\x00\x00\x18ftypheic", "(AVIF or HEIC)"),
    ],
)
def test_unsupported_format_is_named(data, kind):
    text = rf"^is not a JPEG, PNG, GIF, BMP(, TIFF)? or WebP image {re.escape(kind)}$"
    with pytest.raises(images.BadImage, match=text):
        images.prepare(data)


@pytest.mark.parametrize("name", ["plain.jpg", "plain.png", "moving.gif", "lossy.webp"])
def test_max_pixels_is_checked_in_the_header(name):
    assert images.prepare(GOOD[name], images.Rules(24 * 32))
    with pytest.raises(images.BadImage, match="^has 32 x 24 pixels, more than max_pixels=767$"):
        images.prepare(GOOD[name], images.Rules(24 * 32 - 1))


def test_huge_image_allocates_no_memory():
    before = memory.reset_peak()
    for size in (20_000, 60_000):
        with pytest.raises(images.BadImage, match="more than max_pixels=89478485"):
            images.prepare(image_folder.huge_png(size, size))
    assert memory.peak_kilobytes() - before < 100_000


def test_gif_frame_larger_than_the_canvas_is_rejected():
    data = bytearray(sample_files.encoded(PIL.Image.new("P", (3, 2)), "GIF"))
    at = data.index(b"\x2c", 13)
    data[at + 5 : at + 9] = struct.pack("<HH", 30_000, 30_000)
    with pytest.raises(images.BadImage, match="30000 x 30000 pixels, more than|cannot be decoded"):
        images.prepare(bytes(data))


def test_pillow_settings_are_restored():
    limit = PIL.Image.MAX_IMAGE_PIXELS
    assert limit is None
    PIL.Image.MAX_IMAGE_PIXELS = 5
    try:
        with images.pillow_settings():
            assert PIL.Image.MAX_IMAGE_PIXELS is None
            warnings.warn("not seen", stacklevel=1)
        assert PIL.Image.MAX_IMAGE_PIXELS == 5
    finally:
        PIL.Image.MAX_IMAGE_PIXELS = limit


def test_raw_pixels_become_png():
    planes = np.arange(24, dtype=np.uint8).reshape(3, 2, 4)
    prepared = images.encode_pixels(planes.tobytes(), 2, 4, 3)
    assert prepared[1:4] == ("png", 2, 4)
    assert (decoded(prepared) == planes.transpose(1, 2, 0)).all()
    gray = images.encode_pixels(bytes(range(6)), 2, 3, 1)
    with PIL.Image.open(io.BytesIO(gray.encoded)) as image:
        assert (image.mode, list(image.tobytes())) == ("L", list(range(6)))
    with pytest.raises(images.BadImage, match="has 5 bytes instead of 6"):
        images.encode_pixels(bytes(5), 2, 3, 1)


def test_sources_read_the_same_bytes(tmp_path):
    path = str(tmp_path / "a.zip")
    with open(path, "wb") as file:
        file.write(sample_files.zip_bytes({"x/y.jpg": b"inside"}))
    assert sources.ZipSource(path, "x/y.jpg").read() == b"inside"
    assert sources.ZipSource(path, "x/y.jpg").name == f"{path}:x/y.jpg"
    part = sources.RangeSource(path, 0, 2, "head")
    assert (part.read(), part.name) == (b"PK", f"{path}:head")


def test_endless_and_huge_sources_are_rejected(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="not a regular file"):
        sources.FileSource(str(tmp_path / "pipe")).read()
    with open(tmp_path / "long", "wb") as file:
        os.truncate(file.fileno(), sources.MAX_BYTES + 1)
    with pytest.raises(OSError, match=f"larger than {sources.MAX_BYTES} bytes"):
        sources.FileSource(str(tmp_path / "long")).read()
    with pytest.raises(OSError, match=f"it has {sources.MAX_BYTES + 1} bytes, more than"):
        sources.RangeSource(str(tmp_path / "long"), 0, sources.MAX_BYTES + 1, "x").read()
    with pytest.raises(OSError, match="not a regular file"):
        sources.RangeSource(str(tmp_path / "pipe"), 0, 1, "x").read()


def test_unreadable_zip_members_raise_os_error(tmp_path):
    path = str(tmp_path / "a.zip")
    packed = bytearray(sample_files.zip_bytes({"damaged": b"x", "long": b"x"}))
    packed[35] ^= 255  # in the name of the first member
    at = packed.rindex(b"PK\1\2") + 24
    packed[at : at + 4] = b"\xff" * 4  # the size of the second
    with open(path, "wb") as file:
        file.write(packed)
    for member, expected in (
        ("damaged", "File name in directory"),
        ("long", f"it has more than {sources.MAX_BYTES} bytes"),
        ("missing", "There is no item named 'missing'"),
    ):
        with pytest.raises(OSError, match=expected):
            sources.ZipSource(path, member).read()


@pytest.mark.parametrize("seed", range(4))
def test_mutated_images_are_prepared_or_rejected(seed):
    rng = np.random.default_rng(seed)
    samples = list(GOOD.values())
    for number in range(150):
        data = bytearray(samples[number % len(samples)])
        for at in rng.integers(0, len(data), 1 + number % 7):
            data[at] = rng.integers(256)
        prepared = reason = None
        try:
            prepared = images.prepare(bytes(data))
        except images.BadImage as bad:
            reason = str(bad)
        if prepared is None:
            assert reason
            continue
        with PIL.Image.open(io.BytesIO(prepared.encoded)) as image:
            assert image.mode in ("L", "RGB")
