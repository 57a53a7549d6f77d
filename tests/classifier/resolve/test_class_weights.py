"""Class weights: from counts, from files, and in the loss."""

import json
import os

import numpy as np
import pytest
import tensorflow as tf

import slim
from classifier import network
from classifier.config import options
from classifier.config.training import TrainConfig
from classifier.model_info import ModelInfo
from classifier.resolve import class_weights
from classifier.resolve.training import training_run
from classifier.training.loss import training_loss
from slim import _checks

NAMES = ("rose", "tulip", "daisy")


def test_weights_by_frequency_have_a_mean_of_1_over_the_images():
    counts = (30, 10, 0, 20)
    weights = class_weights.by_frequency(counts)
    assert weights == (60 / (3 * 30), 60 / (3 * 10), 0.0, 60 / (3 * 20))
    assert np.dot(weights, counts) / sum(counts) == pytest.approx(1.0)
    # The total weight of each class with images is the same.
    assert weights[0] * 30 == pytest.approx(weights[1] * 10) == pytest.approx(weights[3] * 20)


@pytest.mark.parametrize(
    "name, text",
    [
        ("w.json", '{"daisy": 1, "rose": 2.5, "tulip": 0}'),
        ("w.csv", "rose,2.5\ntulip,0\n\ndaisy,1\n"),
        ("w.csv", "class,weight\ndaisy, 1\nrose,2.5\ntulip,0\n"),
    ],
)
def test_weights_are_read_from_json_and_csv(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    assert class_weights.read(str(tmp_path / name), NAMES) == (2.5, 0.0, 1.0)


@pytest.mark.parametrize(
    "text, problem",
    [
        ("rose,1\ntulip,2", "classes missing in .*w.csv: daisy"),
        ("rose,1\ntulp,2\ndaisy,1", "unknown class 'tulp' in .*w.csv; did you mean 'tulip'"),
        ("rose,1\nx,2\ndaisy,1", "unknown class 'x' in .*w.csv. Classes: rose, tulip"),
        ("rose,1\ntulip,heavy\ndaisy,1", "w.csv is not JSON or CSV with class names"),
        ("rose,1,2", "w.csv is not JSON or CSV with class names"),
        ("rose,-1\ntulip,1\ndaisy,1", "the weight of 'rose' in .*w.csv is -1.0"),
        ("rose,nan\ntulip,1\ndaisy,1", "the weight of 'rose' in .*w.csv is nan"),
    ],
)
def test_invalid_csv_is_an_error(tmp_path, text, problem):
    (tmp_path / "w.csv").write_text(text)
    with pytest.raises(_checks.UserError, match=problem):
        class_weights.read(str(tmp_path / "w.csv"), NAMES)


@pytest.mark.parametrize(
    "content, problem",
    [
        (b'{"rose": "1"}', 'class names and weights: rose is "1", expected a number'),
        (b'{"rose": -1}', "rose is -1, expected a number of at least 0"),
        (b'{"rose": NaN}', "NaN is not a JSON number"),
        (b'{"rose": true}', "rose is true, expected a number"),
        (b'{"rose": {"a": 1}}', r'rose is {"a": 1}, expected a number'),
        (b'{"rose": 1, "rose": 2}', 'the key "rose" occurs more than once'),
        (b"[1]", r"the content is \[1\], expected an object"),
        (b"[" * 10_000, "nested deeper than 64 levels"),
        (b"\xff", "not UTF-8"),
    ],
)
def test_invalid_json_is_an_error(tmp_path, content, problem):
    (tmp_path / "w.json").write_bytes(content)
    with pytest.raises(_checks.UserError, match=problem):
        class_weights.read(str(tmp_path / "w.json"), NAMES)


def test_binary_csv_is_an_error(tmp_path):
    (tmp_path / "w.csv").write_bytes(b"ros\xe9,1")
    with pytest.raises(_checks.UserError, match=r"w\.csv is not UTF-8"):
        class_weights.read(str(tmp_path / "w.csv"), NAMES)
    (tmp_path / "w.csv").write_bytes(b"rose," + b"1" * 200_000)
    with pytest.raises(_checks.UserError, match="is not JSON or CSV with class names"):
        class_weights.read(str(tmp_path / "w.csv"), NAMES)


def test_a_fifo_is_an_error_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "w.csv")
    with pytest.raises(_checks.UserError, match=r"nor a readable file: .*\(a FIFO\)"):
        class_weights.read(str(tmp_path / "w.csv"), NAMES)


def test_a_missing_file_is_an_error():
    with pytest.raises(_checks.UserError, match="'atuo' is neither `auto` nor a readable file"):
        class_weights.read("atuo", NAMES)


def resolved(digits, **more):
    config = options.build(
        TrainConfig,
        train_dir="run",
        dataset_name="digits",
        dataset_dir=str(digits),
        model_name="lenet",
        **more,
    )
    return training_run(config)


def test_auto_uses_the_counts_of_the_split(digits):
    counts = json.loads((digits / "dataset_info.json").read_text())["splits"]["train"]["per_class"]
    weights = resolved(digits, class_weights="auto").class_weights
    assert weights == pytest.approx([1437 / (10 * count) for count in counts])
    without_first = resolved(digits, class_weights="auto", labels_offset=1).class_weights
    rest = sum(counts[1:])
    assert without_first == pytest.approx([rest / (9 * count) for count in counts[1:]])
    assert resolved(digits).class_weights == ()


def test_auto_needs_counts(digits, tmp_path):
    for path in digits.glob("*.tfrecord"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    with pytest.raises(_checks.UserError, match="class_weights=auto needs the number of images"):
        resolved(tmp_path, class_weights="auto")


def test_the_loss_is_the_weighted_mean():
    info = ModelInfo(model_name="lenet", num_classes=3, image_size=(28, 28), num_channels=1,
                     preprocessing_name="lenet")  # fmt: skip
    images = np.random.RandomState(0).uniform(-1, 1, [4, 28, 28, 1]).astype(np.float32)
    labels = tf.constant([0, 1, 2, 1], tf.int64)
    weights = (0.5, 2.0, 1.0)
    store = slim.VariableStore(seed=0)

    def loss(factors):
        with store.as_default(tf.constant([1, 2])):
            fn = training_loss(network.training_network(info, 0.0), 3, class_weights=factors)
            return float(fn(images, labels)[0])

    # With only one weight that is not 0, the loss is the mean over the images of that class.
    per_class = [loss([float(i == c) for i in range(3)]) for c in range(3)]
    counts = [1, 2, 1]
    expected = sum(w * mean * n for w, mean, n in zip(weights, per_class, counts, strict=True)) / 4
    assert loss(weights) == pytest.approx(expected, rel=1e-5)
    assert loss(()) == pytest.approx(loss((1.0, 1.0, 1.0)), rel=1e-6)


def test_the_weight_of_a_mixed_image_is_the_average_of_its_classes():
    info = ModelInfo(model_name="lenet", num_classes=3, image_size=(28, 28), num_channels=1,
                     preprocessing_name="lenet")  # fmt: skip
    images = np.random.RandomState(0).uniform(-1, 1, [4, 28, 28, 1]).astype(np.float32)
    labels, others = tf.fill([4], tf.constant(0, tf.int64)), tf.fill([4], tf.constant(2, tf.int64))
    store = slim.VariableStore(seed=0)

    def loss(weights, fraction):
        with store.as_default(tf.constant([1, 2])):
            fn = training_loss(network.training_network(info, 0.0), 3, class_weights=weights)
            return float(fn(images, labels, others, tf.fill([4], fraction))[0])

    for fraction, weight in ((1.0, 5.0), (0.0, 1.0), (0.25, 2.0)):
        expected = weight * loss((), fraction)
        assert loss((5.0, 9.0, 1.0), fraction) == pytest.approx(expected, rel=1e-5)
