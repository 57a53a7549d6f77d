"""Decoding a part of an image equals decoding the whole image and cropping."""

import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from preprocessing import preprocessing_factory, vgg_preprocessing
from slim.data import encoded_images, tfexample_decoder

HANDLER = tfexample_decoder.Image(format_key=None)


def photograph(height, width, mode="RGB"):
    """Returns a smooth image, which JPEG does not blur."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    bands = [np.sin(x / 17 + k) * np.cos(y / (11 + 3 * k)) * 100 + 128 for k in range(3)]
    return Image.fromarray(np.stack(bands, -1).astype(np.uint8)).convert(mode)


def encoded(image, kind="JPEG", **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


ENCODED = {
    "jpeg": encoded(photograph(150, 200), quality=95),
    "progressive jpeg": encoded(photograph(150, 200), progressive=True),
    "unsampled jpeg": encoded(photograph(151, 203), subsampling=0),
    "gray jpeg": encoded(photograph(150, 200, "L")),
    "cmyk jpeg": encoded(photograph(150, 200, "CMYK")),
    "png": encoded(photograph(150, 200), "PNG"),
    "gif": encoded(photograph(150, 200), "GIF"),
    "bmp": encoded(photograph(150, 200), "BMP"),
    "webp": encoded(photograph(150, 200), "WEBP"),
    "lossless webp": encoded(photograph(150, 200), "WEBP", lossless=True),
}


def lazy(contents):
    return encoded_images.EncodedImage(tf.constant(contents), 3, HANDLER.decode)


@pytest.mark.parametrize("kind", ENCODED)
def test_window_equals_a_slice_of_the_whole_image(kind):
    contents = ENCODED[kind]
    decoded = HANDLER.decode(tf.constant(contents)).numpy()

    def choose(source):
        part, scale = source.window(tf.constant([13, 21]), tf.constant([57, 40]))
        tf.debugging.assert_equal(scale, 1)
        return tf.concat(
            [tf.reshape(source.shape(), [-1]), tf.cast(tf.reshape(part, [-1]), tf.int32)], 0
        )

    values = encoded_images.crop(lazy(contents), choose).numpy()
    assert tuple(values[:3]) == decoded.shape
    difference = values[3:].reshape(57, 40, 3) - decoded[13:70, 21:61].astype(np.int32)
    # At its edges, a window of a JPEG with subsampled color lacks neighbors for smoothing.
    assert np.abs(difference[1:-1, 1:-1]).max() == 0
    assert np.abs(difference).max() <= 8
    np.testing.assert_array_equal(encoded_images.decode(lazy(contents)), decoded)


@pytest.mark.parametrize(
    "target_size, scale", [((81, 82), 1), ((60, 80), 2), ((36, 18), 4), ((20, 20), 8)]
)
def test_large_windows_are_decoded_at_a_smaller_scale(target_size, scale):
    contents = encoded(photograph(400, 300), quality=98, subsampling=0)
    begin, size = np.array([53, 21], np.int32), np.array([161, 163], np.int32)

    def choose(source):
        return source.window(tf.constant(begin), tf.constant(size), target_size)

    part, window_scale = encoded_images.crop(lazy(contents), choose)
    assert window_scale == scale
    first, last = begin // scale, (begin + size - 1) // scale
    pixels = HANDLER.decode(tf.constant(contents)).numpy().astype(np.float32)
    squares = pixels[: 400 // scale * scale, : 300 // scale * scale]
    squares = squares.reshape(400 // scale, scale, 300 // scale, scale, 3).mean((1, 3))
    means = squares[first[0] : last[0] + 1, first[1] : last[1] + 1]
    assert part.shape == means.shape
    assert np.abs(part.numpy().astype(np.float32) - means).max() <= 5


# Inception's part is aligned to squares of up to 8 x 8 pixels.
@pytest.mark.parametrize("name, tolerance", [("inception", 0.04), ("vgg", 0.006)])
def test_large_jpeg_decoded_at_a_smaller_scale_is_the_same_image(name, tolerance):
    options = {"color_distortion": "none"} if name == "inception" else {}
    prepare = preprocessing_factory.get_preprocessing(name, is_training=True)
    large = photograph(400, 300).resize((1200, 1600), Image.Resampling.BICUBIC)
    contents = tf.constant(encoded(large, quality=98, subsampling=0))
    for number in range(4):
        seed = tf.constant([number, 1])
        smaller, expected = (
            prepare(image, 64, 64, seed=seed, **options)
            for image in (lazy(contents), HANDLER.decode(contents))
        )
        # The image's waves are 280 pixels long, so that a shift by some pixels is detected.
        difference = np.abs(smaller - expected)
        assert difference.mean() <= tolerance * np.ptp(expected)
        assert difference.max() <= 4 * tolerance * np.ptp(expected)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.slow] * (name == "vgg"))
        for name in sorted(preprocessing_factory.PREPROCESSINGS)
    ],
)
@pytest.mark.parametrize("kind", ["jpeg", "png"])
def test_training_is_equal_for_encoded_and_decoded_images(name, kind):
    prepare = preprocessing_factory.get_preprocessing(name, is_training=True)
    contents, size = ENCODED[kind], 80
    both = tf.function(
        lambda contents, seed: (
            prepare(
                encoded_images.EncodedImage(contents, 3, HANDLER.decode), size, size, seed=seed
            ),
            prepare(HANDLER.decode(contents), size, size, seed=seed),
        )
    )
    for number in range(8):
        encoded, expected = both(tf.constant(contents), tf.constant([number, 1]))
        scale = float(tf.reduce_max(tf.abs(expected)))
        difference = np.abs(encoded.numpy() - expected.numpy())
        assert difference.mean() <= 1e-3 * scale
        assert difference.max() <= 0.1 * scale


@pytest.mark.parametrize(("height", "width"), [(150, 200), (300, 170), (40, 33)])
def test_part_of_the_resized_image_equals_a_crop_of_all_of_it(height, width):
    image = tf.constant(np.asarray(photograph(height, width)))
    for side in (64, 100, 131):
        whole = vgg_preprocessing.aspect_preserving_resize(image, side).numpy()
        for place in ([0.0, 0.0], [0.3, 0.8], [0.999, 0.999], None):
            margin = np.array(whole.shape[:2]) - [60, 64]
            begin = margin // 2 if place is None else (np.float32(place) * (margin + 1)).astype(int)
            expected = whole[begin[0] :, begin[1] :][:60, :64]
            part = encoded_images.crop(
                image,
                lambda source, side=side, place=place: vgg_preprocessing._part_of_resized(
                    source,
                    tf.constant(side),
                    None if place is None else tf.constant(place),
                    tf.constant(False),
                    60,
                    64,
                ),
            )
            assert np.abs(part - expected).max() <= 1e-3 * 255, (side, place)
