"""The sample code for preprocessing, compared with evaluation's preprocessing."""

import types

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from classifier.export.usage import image_code
from classifier.inputs import preprocessing
from classifier.model_info import ModelInfo
from preprocessing import preprocessing_factory

RANDOM = np.random.default_rng(3)
SIZES = [(40, 57), (131, 67), (300, 211), (24, 100)]


def classifier_of(name, channels, gray, size):
    info = ModelInfo(
        model_name="lenet", num_classes=10, image_size=size, preprocessing_name=name,
        num_channels=1 if gray else channels, use_grayscale=gray,
    )  # fmt: skip
    return types.SimpleNamespace(info=info, image_size=size)


def run(code, image, monkeypatch, directory):
    (directory / "image.jpg").write_bytes(tf.io.encode_png(image).numpy())  # exact
    monkeypatch.chdir(directory)
    namespace = {"np": np, "Image": Image}
    exec(code, namespace)
    return namespace["images"]


@pytest.mark.parametrize("gray", [False, True])
@pytest.mark.parametrize("name", sorted(preprocessing_factory.PREPROCESSINGS))
def test_sample_code_matches_evaluation(name, gray, monkeypatch, tmp_path):
    classifier = classifier_of(name, 3, gray, (48, 56))
    code = image_code.image_code(classifier, 2)
    for height, width in SIZES:
        image = RANDOM.integers(0, 256, [height, width, 3]).astype(np.uint8)
        actual = run(code, image, monkeypatch, tmp_path)
        prepare = preprocessing.image_fn(classifier.info, classifier.image_size)
        expected = prepare(tf.constant(image)).numpy()
        assert (actual.shape, actual.dtype) == ((2, *expected.shape), np.float32)
        scale = np.abs(expected).max()
        for each in actual:
            np.testing.assert_allclose(each, expected, atol=2e-6 * scale)


@pytest.mark.parametrize("name", ["lenet", "cifarnet", "none"])
def test_sample_code_matches_evaluation_with_one_channel(name, monkeypatch, tmp_path):
    classifier = classifier_of(name, 1, False, (28, 28))
    image = RANDOM.integers(0, 256, [31, 20, 1]).astype(np.uint8)
    actual = run(image_code.image_code(classifier, 1), image, monkeypatch, tmp_path)
    expected = preprocessing.image_fn(classifier.info, (28, 28))(tf.constant(image))
    np.testing.assert_allclose(actual[0], expected, atol=2e-6 * np.abs(expected).max())
