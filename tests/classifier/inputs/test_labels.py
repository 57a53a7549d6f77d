"""Records with any number of labels become batches with a 1 for each of them."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from classifier import inputs
from classifier.inputs import bad_images
from datasets import dataset_info, image_dataset, splits, tfrecords
from slim import _checks
from tests.classifier import toys

LABELS = ((0, 2), (), (5,), (1, 1, 4), (0, 1, 2, 3, 4, 5), (3,), (2, 5), (0,))


def write(directory, labels=LABELS, multi_label=True):
    records = [
        tfrecords.ImageRecord(toys.png(i), "png", 8, 8, each, f"{i}.png")
        for i, each in enumerate(labels)
    ]
    shard = tfrecords.write_shard(str(directory / "toy_train-00000-of-00001.tfrecord"), records)
    per_class = tuple(sum(c in each for each in labels) for c in range(6))
    names = tuple(f"class {c}" for c in range(6))
    split = dataset_info.SplitInfo(len(records), per_class, (shard,))
    info = dataset_info.DatasetInfo("toy", names, 3, {"train": split}, multi_label=multi_label)
    dataset_info.write(info, str(directory))
    return toys.load(directory)


def hot(labels, classes=6):
    return np.array([[int(c in each) for c in range(classes)] for each in labels])


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return write(tmp_path_factory.mktemp("several"))


@pytest.mark.parametrize("size", [8, 72])  # in chunks, and single
def test_labels_are_ones_in_the_order_of_the_records(dataset, size):
    batches = toys.first(toys.evaluation(dataset, image_size=(size, size), batch_size=6), 2)
    labels = np.concatenate([each["label"] for each in batches])
    np.testing.assert_array_equal(labels, np.vstack([hot(LABELS), np.zeros([4, 6])]))
    assert np.concatenate([each["mask"] for each in batches]).tolist() == [True] * 8 + [False] * 4


def test_training_batches_have_the_labels_of_their_records(dataset):
    mixing = inputs.Mixing(seed=1, mixup_alpha=1.0)
    (batch,) = toys.first(toys.training(dataset, batch_size=8, mixing=mixing), 1)
    expected = hot(LABELS)[batch["record"]]
    np.testing.assert_array_equal(batch["label"], expected)
    np.testing.assert_array_equal(batch["mixed_label"], expected[::-1])
    assert batch["mix"].shape == (8,)


def test_an_offset_removes_the_first_class(tmp_path):
    dataset = write(tmp_path, LABELS[2:4] + ((2, 5),))
    (batch,) = toys.first(toys.evaluation(dataset, batch_size=3, labels_offset=1), 1)
    np.testing.assert_array_equal(batch["label"], hot([(4,), (0, 3), (1, 4)], 5))


@pytest.mark.parametrize("offset, label", [(1, 0), pytest.param(0, 5, marks=pytest.mark.slow)])
def test_a_label_out_of_range_names_its_image(dataset, offset, label):
    message = rf"Label {label} of '\d.png' \(toy_train-0.*, record \d\) is out of range: .*has 5 cl"
    with pytest.raises(_checks.UserError, match=message):
        toys.run(dataset, "evaluation", labels_offset=offset, num_classes=5)


def test_the_stand_in_of_a_bad_image_has_its_labels():
    batch = {
        "image": tf.zeros([3, 2, 2, 1]),
        "label": tf.constant(hot([(), (1, 2), (3,)])),
        "weight": tf.constant([0.0, 1.0, 1.0]),
    }
    replaced = bad_images.stand_in(batch)["label"]
    np.testing.assert_array_equal(replaced, hot([(1, 2), (1, 2), (3,)]))


def test_records_of_one_class_may_be_read_as_several(tmp_path):
    write(tmp_path, [(c,) for c in (3, 0, 5)], multi_label=False)
    metadata = splits.read_metadata(toys.SPEC, "train", str(tmp_path))
    dataset = image_dataset.from_metadata(dataclasses.replace(metadata, multi_label=True))
    (batch,) = toys.first(toys.evaluation(dataset, batch_size=3), 1)
    np.testing.assert_array_equal(batch["label"], hot([(3,), (0,), (5,)]))


def test_the_numbers_of_images_must_be_possible(tmp_path):
    write(tmp_path)
    path = tmp_path / "dataset_info.json"
    path.write_text(path.read_text().replace('"num_samples": 8', '"num_samples": 2'))
    with pytest.raises(_checks.UserError, match="per_class of split 'train' does not add up"):
        dataset_info.read(str(tmp_path))
