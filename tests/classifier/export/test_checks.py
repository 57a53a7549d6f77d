"""A format is kept only if its outputs match the checkpoint; no partial output remains."""

import dataclasses
import importlib.util

import numpy as np
import pytest
import tensorflow as tf

from classifier import ownership
from classifier.config import options
from classifier.config.export import DEFAULT_FORMATS, ExportConfig
from classifier.config.formats import FORMATS
from classifier.export import checks, input_types, samples
from classifier.export import run as exporting
from datasets import dataset_factory
from slim import _checks
from tests.classifier.exports import config, needs

MEASURED = [name for name, each in FORMATS.items() if each.measured]


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(each, marks=[pytest.mark.slow] * (each in ("onnx", "openvino")))
        for each in FORMATS
        if not FORMATS[each].quantized
    ],
)
def test_export_that_differs_from_the_checkpoint_is_not_kept(
    lenet_run, tmp_path, monkeypatch, name
):
    needs(name)
    # Other inputs simulate an exported network with other weights.
    compare = checks.compare
    monkeypatch.setattr(
        checks,
        "compare",
        lambda all, call, *rest: compare(all, lambda x: call(x * 1.01), *rest),
    )
    with pytest.raises(_checks.RunError, match="is allowed, so it was not kept"):
        exporting.run(config(lenet_run, tmp_path, formats=(name,), check_images=2))
    assert not list(tmp_path.iterdir())


def trial_of(lenet_classifier, labels):
    real = samples.Samples("digits", [np.zeros([28, 28, 1], np.uint8)] * len(labels), labels)
    return input_types.make_trial("float_image", lenet_classifier, None, real)


def test_accuracy_may_fall_by_max_drop(lenet_classifier):
    black = np.full([4, 28, 28, 1], -1, np.float32)  # as preprocessed for LeNet
    best = int(tf.argmax(lenet_classifier(black)["logits"], axis=1)[0])
    trial = trial_of(lenet_classifier, np.array([best, best, best, best + 1]))
    # Another class for all but the first real image.
    worse = tf.one_hot([best] * 9 + [best - 1] * 3, 10)
    calls = []

    def call(batch):
        start = sum(calls)
        calls.append(len(batch))
        return worse[start : start + len(batch)]

    comparison = checks.compare(lenet_classifier, call, trial)
    assert comparison.accuracies == (0.75, 0.25)
    assert "accuracy 25.0 % (checkpoint 75.0 %)" in str(comparison)
    assert "images (8 random, 4 of digits)" in str(comparison)
    checks.check(comparison, lenet_classifier, None, 50)
    with pytest.raises(_checks.RunError, match=r"25.0 % on 4 .* The drop exceeds max_drop=49"):
        checks.check(comparison, lenet_classifier, None, 49)


def test_nan_logits_do_not_match(lenet_classifier):
    trial = trial_of(lenet_classifier, np.zeros(1))
    comparison = checks.compare(lenet_classifier, lambda x: tf.fill([len(x), 10], np.nan), trial)
    with pytest.raises(_checks.RunError, match="differs from .* by nan"):
        checks.check(comparison, lenet_classifier, None)


def test_a_network_that_magnifies_rounding_may_differ_by_it(lenet_classifier):
    """Its logits are periodic in the pixels, so that their last bits matter."""

    def magnified(images, factor=3e4):
        return tf.sin(tf.reduce_mean(images, [1, 2]) * factor)

    class Classifier:
        info, prefix = lenet_classifier.info, lenet_classifier.prefix
        thresholds, temperature = lenet_classifier.thresholds, lenet_classifier.temperature

        def output(self, end_point, images):
            return magnified(images)

    classifier = Classifier()
    trial = dataclasses.replace(
        trial_of(lenet_classifier, np.zeros(1)),
        random=[tf.random.stateless_uniform([8, 28, 28, 1], [0, 0])],
    )
    comparison = checks.compare(classifier, lambda x: magnified(x * 3, 1e4), trial)
    assert comparison.difference > checks.TOLERANCE * max(1, comparison.scale)
    assert comparison.difference <= checks.ROUNDING * comparison.rounding() < 0.1
    checks.check(comparison, classifier)
    other = checks.compare(classifier, lambda x: magnified(x * 1.01), trial)
    with pytest.raises(_checks.RunError, match="is allowed, so it was not kept"):
        checks.check(other, classifier)
    assert len(trial.rounding) == 1


@pytest.mark.parametrize("input_type", ["float_image", "uint8_image", "encoded_image"])
@pytest.mark.parametrize("batch_size", [None, 3])
def test_trial_contains_the_preprocessed_samples(lenet_classifier, input_type, batch_size):
    real = samples.embedded(lenet_classifier.info, 4)
    trial = input_types.make_trial(input_type, lenet_classifier, batch_size, real)
    assert sum(map(len, trial.random)) >= checks.NUM_RANDOM
    for batch in (*trial.random, *trial.real):
        assert trial.spec.is_compatible_with(batch)
    actual = np.concatenate([trial.preprocess(batch) for batch in trial.real])[:: trial.copies][:4]
    # Evaluation centres a 28 x 28 window, which these digits fill, then (x - 128) / 128.
    expected = (np.stack(real.images).astype(np.float32) - 128) / 128
    np.testing.assert_allclose(actual, expected, atol=1e-6)


def test_drawn_samples_are_the_split_in_another_order(lenet_classifier, digits):
    dataset = dataset_factory.get_dataset("digits", "validation", str(digits))
    drawn = samples.drawn(dataset, lenet_classifier.info, 1000)  # more than there are
    assert drawn.name == "digits validation"
    assert len({image.tobytes() for image in drawn.images}) > 350
    assert len(drawn.labels) == 360
    assert len(set(drawn.labels[:100])) == 10
    again = samples.drawn(dataset, lenet_classifier.info, 5)
    np.testing.assert_array_equal(again.labels, drawn.labels[:5])


def test_embedded_digits_have_three_channels_for_a_color_network(lenet_classifier):
    info = lenet_classifier.info
    color_info = dataclasses.replace(info, num_channels=3)
    assert samples.embedded(color_info, 1).images[0].shape == (28, 28, 3)


def test_the_images_are_of_the_split_that_the_options_say(lenet_run, digits, tmp_path, capsys):
    values = {"dataset_dir": str(digits), "formats": ("frozen_pb",), "check_images": 3}
    exporting.run(config(lenet_run, tmp_path, **values))
    assert "3 of digits validation)" in capsys.readouterr().out
    exporting.run(config(lenet_run, tmp_path, **values, dataset_split_name="train"))
    assert "3 of digits train), accuracy" in capsys.readouterr().out
    with pytest.raises(_checks.UserError, match="Split 'trian' not in"):
        exporting.run(config(lenet_run, tmp_path, **values, dataset_split_name="trian"))


def test_embedded_digits_are_used_without_a_dataset(lenet_run, tmp_path, capsys):
    exporting.run(config(lenet_run, tmp_path, formats=("frozen_pb",)))
    assert "24 images (8 random, 16 of digits)" in capsys.readouterr().out


@pytest.mark.parametrize("name", MEASURED)
def test_format_judged_by_accuracy_needs_a_dataset(lenet_run, tmp_path, name):
    needs(name)
    with pytest.raises(_checks.UserError, match=f"formats={name} needs dataset_dir: its accuracy"):
        exporting.run(config(lenet_run, tmp_path / "out", formats=("frozen_pb", name)))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", [each for each in FORMATS if FORMATS[each].packages])
def test_missing_package_is_an_error_with_the_install_command(
    lenet_run, tmp_path, monkeypatch, name
):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    packages = " ".join(FORMATS[name].packages.values())
    message = f"is not installed; install it with: pip install {packages}$"
    with pytest.raises(_checks.UserError, match=message) as caught:
        exporting.run(config(lenet_run, tmp_path / "out", formats=("frozen_pb", name)))
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("taken", ["saved_model/1", "lenet.pb"])
def test_existing_directory_is_an_error_before_anything_is_written(lenet_run, tmp_path, taken):
    ownership.claim_export(str(tmp_path))
    (tmp_path / taken).mkdir(parents=True)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(_checks.UserError, match=f"{taken} exists. Remove it, or use"):
        exporting.run(config(lenet_run, tmp_path, formats=DEFAULT_FORMATS))
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    "values, message",
    [
        ({"max_drop": 2.0}, "max_drop needs a quantized format"),
        (
            {"max_drop": 2.0, "formats": ("tflite_float16",)},
            "max_drop needs dataset_dir: accuracy is measured on the dataset",
        ),
        ({"calibration_images": 9}, "calibration_images needs formats=tflite_int8"),
        ({"formats": ("tflit",)}, "formats='tflit' is not known; did you mean 'tflite"),
        ({"dataset_split_name": "train"}, "dataset_split_name needs dataset_dir"),
        ({"dataset_name": "digits"}, "dataset_name needs dataset_dir: the classes are read from"),
    ],
)
def test_conflicting_comparison_options_are_errors(lenet_run, tmp_path, values, message):
    with pytest.raises(_checks.UserError, match=message):
        exporting.run(config(lenet_run, tmp_path / "out", **values))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["check_images", "max_drop", "calibration_images"])
def test_comparison_options_need_a_checkpoint(name):
    with pytest.raises(_checks.UserError, match=f"{name} needs checkpoint_path"):
        options.build(ExportConfig, output_file="f", **{name: 3})
