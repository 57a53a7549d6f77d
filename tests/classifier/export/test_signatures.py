"""Each signature of a SavedModel that classifies is compared with the checkpoint."""

import types

import pytest
import tensorflow as tf

from classifier.export import saved_model
from classifier.inputs import preprocessing
from slim import _checks
from tests.classifier.export.test_formats import export_to


def of_other_labels(monkeypatch):
    class Reversed(saved_model.Serving):
        def __init__(self, *args):
            super().__init__(*args)
            self.labels = self.labels[::-1]

    monkeypatch.setattr(saved_model, "Serving", Reversed)


def of_other_preprocessing(monkeypatch):
    def darker(info, image_size, *limit):
        decode = preprocessing.encoded_batch_fn(info, image_size, *limit)
        return lambda files: 0.9 * decode(files)

    others = {**vars(preprocessing), "encoded_batch_fn": darker}
    monkeypatch.setattr(saved_model, "preprocessing", types.SimpleNamespace(**others))


def of_other_examples(monkeypatch):
    def first_alone(examples):
        feature = {"image/encoded": tf.io.FixedLenFeature([], tf.string)}
        encoded = tf.io.parse_example(examples, feature)["image/encoded"]
        return tf.repeat(encoded[:1], tf.shape(encoded)[0])

    monkeypatch.setattr(saved_model, "_encoded_images", first_alone)


@pytest.mark.parametrize(
    "wrong, message",
    [
        (of_other_labels, "signature 'image_tensor' of the export returns other classes than"),
        pytest.param(
            of_other_preprocessing,
            "the export differs from .* so it was not kept",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            of_other_examples,
            "the export differs from .* so it was not kept",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_export_with_a_different_signature_is_not_kept(
    lenet_run, tmp_path, monkeypatch, wrong, message
):
    wrong(monkeypatch)
    with pytest.raises(_checks.RunError, match=message):
        export_to(tmp_path, lenet_run, "saved_model")
    assert not list(tmp_path.iterdir())
