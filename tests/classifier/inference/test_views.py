"""Crops and mirror images, and the mean of their probabilities."""

import types

import numpy as np
import pytest
import tensorflow as tf

from classifier.inference.views import Views, prepared_size

IMAGES = np.random.default_rng(0).standard_normal([2, 9, 8, 1]).astype(np.float32)


def model(logits=lambda images: images, temperature=None):
    return _Model(logits, temperature, (7, 6))


class _Model:
    def __init__(self, logits, temperature, image_size):
        self.temperature, self.image_size, self._logits = temperature, image_size, logits
        self.info = types.SimpleNamespace(multi_label=False)

    def __call__(self, images):
        logits = self._logits(images)
        return {"logits": logits, "probabilities": tf.nn.softmax(logits / (self.temperature or 1))}


def test_images_are_prepared_larger_for_crops_only():
    assert prepared_size((224, 224), 1) == (224, 224)
    assert prepared_size((224, 224), 5) == (256, 256)
    assert prepared_size((28, 32), 5) == (32, 37)


def test_views_equal_slices():
    images = IMAGES
    views = [view.numpy() for view in Views(model(), 5, flip=True).views(tf.constant(images))]
    corners = [(1, 1), (0, 0), (0, 2), (2, 0), (2, 2)]
    crops = [images[:, top : top + 7, left : left + 6] for top, left in corners]
    expected = [each for crop in crops for each in (crop, crop[:, :, ::-1])]
    assert len(views) == 10
    for actual, view in zip(views, expected, strict=True):
        np.testing.assert_array_equal(actual, view)
    (whole,) = Views(model(), 1, flip=False).views(tf.constant(images))
    np.testing.assert_array_equal(whole, images)


@pytest.mark.parametrize("temperature", [None, 2.5])
def test_probabilities_are_the_means_over_the_views(temperature):
    def logits(images):
        return 100 * tf.reshape(images[:, 0, :4], [2, 4])  # some probabilities underflow

    views = Views(model(logits, temperature), 5, flip=True)
    outputs = views(tf.constant(IMAGES))
    rows = [logits(view) / (temperature or 1) for view in views.views(tf.constant(IMAGES))]
    expected = np.mean([tf.nn.softmax(row) for row in rows], axis=0)
    np.testing.assert_allclose(outputs["probabilities"], expected, rtol=1e-5)
    assert np.isfinite(outputs["logits"]).all()
    again = tf.nn.softmax(outputs["logits"] / (temperature or 1))
    np.testing.assert_allclose(again, expected, rtol=1e-4, atol=1e-7)
