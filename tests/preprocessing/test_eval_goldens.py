"""Evaluation preprocessing equals TF-Slim's numbers."""

import pathlib
import re

import numpy as np
import pytest
import tensorflow as tf

from preprocessing import preprocessing_factory

with np.load(pathlib.Path(__file__).parent / "goldens" / "preprocessing.npz") as _file:
    GOLDENS = dict(_file)


def synthetic_image(height, width, channels):
    y, x = np.mgrid[:height, :width].astype(np.float64)
    planes = [
        127.5 + 127.4 * np.sin(x / (7 + 3 * k) + k) * np.cos(y / (11 + 2 * k) - k)
        for k in range(channels)
    ]
    return np.stack(planes, -1).astype(np.uint8)


@pytest.mark.parametrize("key", sorted(GOLDENS))
@pytest.mark.parametrize("traced", [False, True])
def test_equals_tf_slim(key, traced):
    name, *sizes = re.fullmatch(r"(\w+?)_(\d+)x(\d+)x(\d+)_to_(\d+)", key).groups()
    height, width, channels, size = map(int, sizes)
    prepare = preprocessing_factory.get_preprocessing(name)
    if traced:
        spec = tf.TensorSpec([None, None, channels], tf.uint8)
        prepare = tf.function(lambda image, h, w, p=prepare: p(image, h, w)).get_concrete_function(
            spec, size, size
        )
        result = prepare(tf.constant(synthetic_image(height, width, channels)))
        assert prepare.structured_outputs.shape == (size, size, channels)
    else:
        result = prepare(tf.constant(synthetic_image(height, width, channels)), size, size)
    assert result.shape == (size, size, channels)
    golden = GOLDENS[key]
    pixels = result.numpy() if size <= 40 else result.numpy()[::9, ::9]
    value_range = golden.max() - golden.min()
    np.testing.assert_allclose(pixels, golden, rtol=0, atol=1e-5 * value_range)


def test_resize_differs_from_tensorflow_2s():
    image = tf.constant(synthetic_image(40, 50, 3))
    ours = preprocessing_factory.get_preprocessing("inception")(
        image, 24, 24, central_fraction=None
    )
    theirs = tf.image.resize(tf.image.convert_image_dtype(image, tf.float32), [24, 24]) * 2 - 1
    assert np.abs(ours - theirs).max() > 0.01
