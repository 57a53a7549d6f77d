"""Decoding a part of a picture gives what decoding it all and cutting gives."""

import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from preprocessing import preprocessing_factory, vgg_preprocessing
from slim.data import pictures, tfexample_decoder

HANDLER = tfexample_decoder.Image(format_key=None)


def photograph(height, width, mode="RGB"):
    """Returns a smooth picture: noise would hide nothing, but JPEG would blur it."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    bands = [np.sin(x / 17 + k) * np.cos(y / (11 + 3 * k)) * 100 + 128 for k in range(3)]
    return Image.fromarray(np.stack(bands, -1).astype(np.uint8)).convert(mode)


def encoded(image, kind="JPEG", **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


PICTURES = {
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
    return pictures.EncodedPicture(tf.constant(contents), 3, HANDLER.decode)


@pytest.mark.parametrize("kind", PICTURES)
def test_windows_are_slices(kind):
    contents = PICTURES[kind]
    decoded = HANDLER.decode(tf.constant(contents)).numpy()

    def choose(picture):
        part, scale = picture.window(tf.constant([13, 21]), tf.constant([57, 40]))
        tf.debugging.assert_equal(scale, 1)
        return tf.concat(
            [tf.reshape(picture.shape(), [-1]), tf.cast(tf.reshape(part, [-1]), tf.int32)], 0
        )

    found = pictures.cut(lazy(contents), choose).numpy()
    assert tuple(found[:3]) == decoded.shape
    difference = found[3:].reshape(57, 40, 3) - decoded[13:70, 21:61].astype(np.int32)
    # At its edges, a window of a JPEG with halved colour lacks neighbours to smooth it with.
    assert np.abs(difference[1:-1, 1:-1]).max() == 0
    assert np.abs(difference).max() <= 8
    np.testing.assert_array_equal(pictures.whole(lazy(contents)), decoded)


@pytest.mark.parametrize(
    "wanted, scale", [((81, 82), 1), ((60, 80), 2), ((36, 18), 4), ((20, 20), 8)]
)
def test_large_windows_come_smaller(wanted, scale):
    contents = encoded(photograph(400, 300), quality=98, subsampling=0)
    begin, size = np.array([53, 21], np.int32), np.array([161, 163], np.int32)

    def choose(picture):
        return picture.window(tf.constant(begin), tf.constant(size), wanted)

    part, found = pictures.cut(lazy(contents), choose)
    assert found == scale
    first, last = begin // scale, (begin + size - 1) // scale
    pixels = HANDLER.decode(tf.constant(contents)).numpy().astype(np.float32)
    squares = pixels[: 400 // scale * scale, : 300 // scale * scale]
    squares = squares.reshape(400 // scale, scale, 300 // scale, scale, 3).mean((1, 3))
    means = squares[first[0] : last[0] + 1, first[1] : last[1] + 1]
    assert part.shape == means.shape
    assert np.abs(part.numpy().astype(np.float32) - means).max() <= 5


# Inception's part begins on a whole square of up to 8 x 8 pixels.
@pytest.mark.parametrize("name, share", [("inception", 0.04), ("vgg", 0.006)])
def test_a_large_jpeg_that_comes_smaller_is_the_same_picture(name, share):
    options = {"color_distortion": "none"} if name == "inception" else {}
    prepare = preprocessing_factory.get_preprocessing(name, is_training=True)
    large = photograph(400, 300).resize((1200, 1600), Image.Resampling.BICUBIC)
    contents = tf.constant(encoded(large, quality=98, subsampling=0))
    for number in range(4):
        seed = tf.constant([number, 1])
        smaller, wanted = (
            prepare(picture, 64, 64, seed=seed, **options)
            for picture in (lazy(contents), HANDLER.decode(contents))
        )
        # The picture's waves are 280 pixels long, so that a shift by some pixels would show.
        difference = np.abs(smaller - wanted)
        assert difference.mean() <= share * np.ptp(wanted)
        assert difference.max() <= 4 * share * np.ptp(wanted)


@pytest.mark.parametrize("name", sorted(preprocessing_factory.PREPROCESSINGS))
@pytest.mark.parametrize("kind", ["jpeg", "png"])
def test_training_gets_the_same_from_either(name, kind):
    prepare = preprocessing_factory.get_preprocessing(name, is_training=True)
    contents, size = PICTURES[kind], 80
    both = tf.function(
        lambda contents, seed: (
            prepare(pictures.EncodedPicture(contents, 3, HANDLER.decode), size, size, seed=seed),
            prepare(HANDLER.decode(contents), size, size, seed=seed),
        )
    )
    for number in range(8):
        ours, wanted = both(tf.constant(contents), tf.constant([number, 1]))
        scale = float(tf.reduce_max(tf.abs(wanted)))
        difference = np.abs(ours.numpy() - wanted.numpy())
        assert difference.mean() <= 1e-3 * scale
        assert difference.max() <= 0.1 * scale


@pytest.mark.parametrize(("height", "width"), [(150, 200), (300, 170), (40, 33)])
def test_a_part_of_the_resized_picture_is_cut_from_the_whole(height, width):
    image = tf.constant(np.asarray(photograph(height, width)))
    for side in (64, 100, 131):
        whole = vgg_preprocessing.aspect_preserving_resize(image, side).numpy()
        for place in ([0.0, 0.0], [0.3, 0.8], [0.999, 0.999], None):
            most = np.array(whole.shape[:2]) - [60, 64]
            begin = most // 2 if place is None else (np.float32(place) * (most + 1)).astype(int)
            wanted = whole[begin[0] :, begin[1] :][:60, :64]
            part = pictures.cut(
                image,
                lambda picture, side=side, place=place: vgg_preprocessing._part_of_resized(
                    picture,
                    tf.constant(side),
                    None if place is None else tf.constant(place),
                    tf.constant(False),
                    60,
                    64,
                ),
            )
            assert np.abs(part - wanted).max() <= 1e-3 * 255, (side, place)
