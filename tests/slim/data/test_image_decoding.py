"""Decoding in TensorFlow operations against Pillow, over all formats and modes."""

import contextlib
import functools

import numpy as np
import PIL.Image
import pytest
import tensorflow as tf

from slim import _decodings
from slim import _image_limits as image_limits
from slim.data import compositing, image_decoding, image_orientation
from tests import image_modes


@functools.cache
def decoder(channels, decoding):
    return tf.function(
        lambda contents: image_decoding.decode(contents, channels, decoding),
        autograph=False,
        input_signature=[tf.TensorSpec([], tf.string)],
    )


@pytest.mark.parametrize("upright", [True, False])
@pytest.mark.parametrize("name", image_modes.FILES)
def test_pixels_are_those_of_pillow(name, upright):
    data = image_modes.FILES[name]
    actual = decoder(3, _decodings.UPRIGHT if upright else _decodings.STORED)(data).numpy()
    expected = image_modes.pixels(data, upright=upright)
    assert (actual.shape, actual.dtype) == (expected.shape, np.uint8)
    # Decoders of JPEG may round otherwise.
    tolerance = 0 if name in image_modes.EXACT else 3
    assert np.abs(actual.astype(int) - expected).max() <= tolerance


@pytest.mark.parametrize("name", image_modes.FILES)
def test_one_channel_is_the_luma_of_pillow(name):
    data = image_modes.FILES[name]
    actual = decoder(1, _decodings.UPRIGHT)(data).numpy()
    expected = np.asarray(PIL.Image.fromarray(image_modes.pixels(data)).convert("L"))
    tolerance = 0 if name in image_modes.EXACT else 3
    assert np.abs(actual[..., 0].astype(int) - expected).max() <= tolerance


@pytest.mark.parametrize("name", ["JPEG RGB", "JPEG EXIF 6", "PNG RGBA", "PNG P", "GIF P"])
@pytest.mark.parametrize("channels", [1, 3])
def test_tf_slim_decodes_as_tensorflow(name, channels):
    data = image_modes.FILES[name]
    if channels == 1 and name.startswith("GIF"):
        return  # refused by TensorFlow
    actual = decoder(channels, _decodings.TF_SLIM)(data)
    expected = tf.io.decode_image(data, channels, expand_animations=False)
    np.testing.assert_array_equal(actual, expected)


def test_compositing_rounds_as_pillow():
    values, alphas = map(np.ravel, np.meshgrid(np.arange(256), np.arange(256)))
    rgba = np.stack([values] * 3 + [alphas], axis=-1).astype(np.uint8)[np.newaxis]
    white = PIL.Image.new("RGBA", (rgba.shape[1], 1), "white")
    expected = np.asarray(PIL.Image.alpha_composite(white, PIL.Image.fromarray(rgba)))
    np.testing.assert_array_equal(compositing.on_white(tf.constant(rgba)), expected[..., :3])


def orientation(data):
    return int(image_orientation.orientation(tf.constant(data)))


def test_orientation_behind_other_segments_and_in_odd_exif():
    data = image_modes.encoded("RGB", "JPEG", exif=image_modes.exif(6))
    more = b"\xff\xd8" + b"\xff\xfe\0\x05abc" * 20 + b"\xff\xff" + data[2:]
    assert [orientation(each) for each in (data, more)] == [6, 6]
    # After the first scan, as in the second image of a file, it is not this image's.
    scan = data.index(b"\xff\xda")
    assert orientation(image_modes.encoded("RGB", "JPEG")[:-2] + data[2:scan] + data[scan:]) == 1
    for exif in (
        b"",
        b"Exif\0\0",
        b"Exif\0\0II*\0\xff\xff\xff\x7f",
        b"Exif\0\0MM\0*\0\0\0\x08\xff",
    ):
        assert orientation(image_modes.encoded("RGB", "JPEG", exif=exif)) == 1
    assert orientation(image_modes.encoded("RGB", "JPEG", exif=image_modes.exif(9))) == 1


@pytest.mark.parametrize("name", ["JPEG EXIF 6", "PNG EXIF 3", "GIF P", "BMP P", "WEBP EXIF 5 big"])
def test_damage_is_an_error_or_pixels(name):
    random, data = np.random.default_rng(0), image_modes.FILES[name]
    decode, read = decoder(3, _decodings.UPRIGHT), 0
    damaged = [data[:size] for size in range(12, len(data), max(1, len(data) // 20))]
    for _ in range(20):
        other = bytearray(data)
        other[random.integers(2, 60)] = random.integers(256)
        damaged.append(bytes(other))
    for each in damaged:
        if image_limits.problem(each, 1 << 16) is None:
            # Messages of TensorFlow may contain the bytes of the file.
            with contextlib.suppress(tf.errors.InvalidArgumentError, UnicodeDecodeError):
                read += decode(each).shape[2] == 3
    assert 0 < read < len(damaged)
