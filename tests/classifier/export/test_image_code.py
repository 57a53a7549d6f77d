"""The code that prepares a picture, against evaluation's own preprocessing."""

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


def run(code, picture, monkeypatch, folder):
    (folder / "image.jpg").write_bytes(tf.io.encode_png(picture).numpy())  # exact
    monkeypatch.chdir(folder)
    found = {"np": np, "Image": Image}
    exec(code, found)
    return found["images"]


@pytest.mark.parametrize("gray", [False, True])
@pytest.mark.parametrize("name", sorted(preprocessing_factory.PREPROCESSINGS))
def test_it_prepares_as_evaluation_does(name, gray, monkeypatch, tmp_path):
    classifier = classifier_of(name, 3, gray, (48, 56))
    code = image_code.image_code(classifier, 2)
    for height, width in SIZES:
        picture = RANDOM.integers(0, 256, [height, width, 3]).astype(np.uint8)
        found = run(code, picture, monkeypatch, tmp_path)
        prepare = preprocessing.image_fn(classifier.info, classifier.image_size)
        wanted = prepare(tf.constant(picture)).numpy()
        assert (found.shape, found.dtype) == ((2, *wanted.shape), np.float32)
        scale = np.abs(wanted).max()
        for each in found:
            np.testing.assert_allclose(each, wanted, atol=2e-6 * scale)


@pytest.mark.parametrize("name", ["lenet", "cifarnet", "none"])
def test_pictures_of_one_channel(name, monkeypatch, tmp_path):
    classifier = classifier_of(name, 1, False, (28, 28))
    picture = RANDOM.integers(0, 256, [31, 20, 1]).astype(np.uint8)
    found = run(image_code.image_code(classifier, 1), picture, monkeypatch, tmp_path)
    wanted = preprocessing.image_fn(classifier.info, (28, 28))(tf.constant(picture))
    np.testing.assert_allclose(found[0], wanted, atol=2e-6 * np.abs(wanted).max())
