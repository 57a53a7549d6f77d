"""The embedded digits: conversion, records, repeated and interrupted runs, errors."""

import hashlib
import io
import json
import os
import signal
import subprocess
import sys

import numpy as np
import PIL.Image
import pytest
import tensorflow as tf

from datasets import dataset_factory, dataset_info, digits, download_and_convert, tfrecords
from slim import _checks


@pytest.fixture(scope="module")
def converted(tmp_path_factory):
    directory = str(tmp_path_factory.mktemp("digits") / "new" / "ü dir")
    lines = []
    download_and_convert.convert("digits", directory, lines.append)
    return directory, lines


def examples(directory, split):
    dataset = dataset_factory.get_dataset("digits", split, directory)
    for record in tf.data.TFRecordDataset(list(dataset.data_sources)):
        yield tf.train.Example.FromString(record.numpy()).features.feature


def test_converted_directory_has_expected_files_counts_and_names(converted):
    directory, lines = converted
    assert sorted(os.listdir(directory)) == [
        ".slim",
        "dataset_info.json",
        "digits_train-00000-of-00002.tfrecord",
        "digits_train-00001-of-00002.tfrecord",
        "digits_validation-00000-of-00001.tfrecord",
        "labels.txt",
        "samples",
    ]
    assert (
        lines[0] == f"Wrote digits to {directory}: 1437 train, 360 validation images of 10 classes"
    )
    assert any("CC BY 4.0" in line for line in lines)
    for split, count in (("train", 1437), ("validation", 360)):
        dataset = dataset_factory.get_dataset("digits", split, directory)
        assert (dataset.num_samples, sum(dataset.shard_counts)) == (count, count)
        assert (dataset.num_classes, dataset.labels_to_names[7]) == (10, "seven")
        assert dataset.decoder.list_items() == list(dataset.items_to_descriptions)
        assert len(list(examples(directory, split))) == count
    with open(os.path.join(directory, "labels.txt")) as file:
        assert file.read().startswith("0:zero\n1:one\n")
    assert dataset_info.read_label_file(directory) == dict(enumerate(digits.CLASSES))


def test_dataset_info_matches_the_shards(converted):
    directory, _ = converted
    info = dataset_info.read(directory)
    for name, split in info.splits.items():
        labels = [f["image/class/label"].int64_list.value[0] for f in examples(directory, name)]
        assert np.bincount(labels, minlength=10).tolist() == list(split.per_class)
        for shard in split.shards:
            with open(os.path.join(directory, shard.file), "rb") as file:
                content = file.read()
            assert (len(content), hashlib.sha256(content).hexdigest()) == (
                shard.bytes,
                shard.sha256,
            )


def test_every_digit_is_in_exactly_one_split(converted):
    directory, _ = converted
    names = [
        f["image/filename"].bytes_list.value[0].decode()
        for split in ("train", "validation")
        for f in examples(directory, split)
    ]
    images = digits.read_images()
    assert sorted(names) == sorted(image.filename for image in images)
    assert digits.read_images(3) == images[:3]
    assert len(set(names)) == 1797


def test_records_have_tf_slim_features(converted):
    features = next(examples(converted[0], "train"))
    assert set(features) == {
        "image/encoded",
        "image/format",
        "image/class/label",
        "image/height",
        "image/width",
        "image/filename",
    }
    assert features["image/format"].bytes_list.value == [b"png"]
    assert (
        features["image/height"].int64_list.value
        == features["image/width"].int64_list.value
        == [28]
    )
    with PIL.Image.open(io.BytesIO(features["image/encoded"].bytes_list.value[0])) as image:
        assert (image.mode, image.size) == ("L", (28, 28))


def test_enlarged_digits_have_mnist_layout():
    large = digits.enlarge(np.full((8, 8), 16, np.float32))
    assert large.dtype == np.uint8
    assert (large[4:24, 4:24] == 255).all()
    large[4:24, 4:24] = 0
    assert not large.any()
    small = np.zeros((8, 8), np.float32)
    small[2, 5] = 16
    row, column = np.unravel_index(digits.enlarge(small).argmax(), (28, 28))
    assert (row, column) in [(r, c) for r in (9, 10) for c in (17, 18)]


def test_samples_are_validation_images_named_after_their_class(converted):
    directory, _ = converted
    labels = {
        f["image/encoded"].bytes_list.value[0]: f["image/class/label"].int64_list.value[0]
        for f in examples(directory, "validation")
    }
    names = sorted(os.listdir(os.path.join(directory, "samples")))
    assert names == [f"{label}_{name}.png" for label, name in enumerate(digits.CLASSES)]
    for label, name in enumerate(names):
        with open(os.path.join(directory, "samples", name), "rb") as file:
            assert labels[file.read()] == label


def snapshot(directory):
    return {
        os.path.join(root, name): os.stat(os.path.join(root, name)).st_mtime_ns
        for root, _, names in os.walk(directory)
        for name in names
    }


def test_second_run_changes_nothing(converted):
    directory, _ = converted
    before = snapshot(directory)
    lines = []
    download_and_convert.convert("digits", directory, lines.append)
    assert lines == [
        f"{directory} is already complete: 1437 train, 360 validation images of 10 classes"
    ]
    assert snapshot(directory) == before


def test_second_run_does_not_load_tensorflow(converted):
    code = (
        "import sys; from datasets import download_and_convert as d;"
        f" d.convert('digits', {converted[0]!r}); assert 'tensorflow' not in sys.modules"
    )
    completed = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert "already complete" in completed.stdout


def test_conversion_is_deterministic(converted, tmp_path):
    digits.convert(str(tmp_path))
    assert dataset_info.read(str(tmp_path)) == dataset_info.read(converted[0])


@pytest.mark.parametrize(
    "damage",
    [
        lambda d: os.remove(os.path.join(d, "dataset_info.json")),
        pytest.param(lambda d: os.remove(os.path.join(d, "labels.txt")), marks=pytest.mark.slow),
        pytest.param(
            lambda d: os.remove(os.path.join(d, "digits_train-00001-of-00002.tfrecord")),
            marks=pytest.mark.slow,
        ),
        lambda d: os.truncate(os.path.join(d, "digits_train-00001-of-00002.tfrecord"), 100),
    ],
)
def test_incomplete_directory_is_converted_again(tmp_path, damage):
    directory = str(tmp_path)
    digits.convert(directory)
    damage(directory)
    leftover = os.path.join(directory, ".saving-a_killed")
    os.mkdir(leftover)
    assert not dataset_info.is_complete(directory)
    download_and_convert.convert("digits", directory, lambda line: None)
    assert dataset_info.is_complete(directory)
    assert not os.path.exists(leftover)


@pytest.mark.slow
def test_killed_conversion_is_repeated(converted, tmp_path):
    code = f"""
import os, signal
from datasets import digits, tfrecords

write, calls = tfrecords.image_to_tfexample, []

def dying(*args):
    calls.append(args)
    if len(calls) == 1000:
        os.kill(os.getpid(), signal.SIGKILL)
    return write(*args)

tfrecords.image_to_tfexample = dying
digits.convert({str(tmp_path)!r})
"""
    completed = subprocess.run([sys.executable, "-c", code], capture_output=True)
    assert completed.returncode == -signal.SIGKILL
    assert not dataset_info.is_complete(str(tmp_path))
    download_and_convert.convert("digits", str(tmp_path), lambda line: None)
    assert dataset_info.read(str(tmp_path)) == dataset_info.read(converted[0])
    assert not [name for name in os.listdir(tmp_path) if name.startswith(".saving-")]


@pytest.mark.parametrize("below", ["", "/sub"])
def test_file_as_dataset_dir_is_rejected(tmp_path, below):
    path = tmp_path / "file"
    path.write_text("mine")
    with pytest.raises(
        _checks.UserError, match=r"is a file; a dir|cannot be created: Not a directory"
    ) as caught:
        download_and_convert.convert("digits", str(path) + below)
    assert "\n" not in str(caught.value)
    assert path.read_text() == "mine"


def test_converter_rejects_a_file_as_dataset_dir(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(_checks.UserError, match="is a file; a directory is needed"):
        digits.convert(str(tmp_path / "file"))


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="needs a directory nobody can write")
def test_unwritable_directory_is_rejected():
    with pytest.raises(_checks.UserError, match="dataset_dir='/proc/self/x' cannot be created: "):
        download_and_convert.convert("digits", "/proc/self/x")


def test_unknown_name_suggests_the_nearest(tmp_path):
    with pytest.raises(
        _checks.UserError, match="dataset_name='digts' is not known; did you mean 'digits'"
    ):
        download_and_convert.convert("digts", str(tmp_path))


def test_directory_of_another_dataset_is_rejected(converted, tmp_path):
    digits.convert(str(tmp_path))
    path = tmp_path / dataset_info.FILE_NAME
    fields = json.loads(path.read_text()) | {"name": "other"}
    path.write_text(json.dumps(fields))
    with pytest.raises(
        _checks.UserError, match="holds the dataset 'other', not 'digits'. Use another"
    ):
        download_and_convert.convert("digits", str(tmp_path))


# ---- writing records -----------------------------------------------------------------------------


def record(label=0):
    return tfrecords.ImageRecord(b"x", "png", 1, 1, label, "a.png")


def write(directory, records, **kwargs):
    settings = {"dataset_name": "d", "split_name": "s", "num_classes": 2, "num_shards": 1}
    return tfrecords.write_split(records, dataset_dir=str(directory), **(settings | kwargs))


def test_shards_have_nearly_equal_sizes(tmp_path):
    info = write(tmp_path, [record()] * 7, num_shards=3)
    assert sorted(shard.num_samples for shard in info.shards) == [2, 2, 3]
    assert info.per_class == (7, 0)


def test_write_split_checks_labels_and_number_of_shards(tmp_path):
    with pytest.raises(_checks.UserError, match=r"label 2 of 'a.png' is outside 0..1"):
        write(tmp_path, [record(2)])
    with pytest.raises(_checks.UserError, match="num_shards=2 must lie between 1 and 1"):
        write(tmp_path, [record()], num_shards=2)
    assert not list(tmp_path.iterdir())


def test_write_shard_without_disk_space_is_one_line_and_leaves_no_file(tmp_path):
    def failing():
        yield record()
        raise OSError(28, "No space left on device")

    with pytest.raises(
        _checks.RunError, match=r"x could not be written: .*No space left on device"
    ):
        tfrecords.write_shard(str(tmp_path / "x"), failing())
    assert not list(tmp_path.iterdir())


def test_samples_without_disk_space_are_one_line(tmp_path, monkeypatch):
    def failing(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(digits, "write_samples", failing)
    with pytest.raises(_checks.RunError, match=r"could not be written: .*No space left on device"):
        download_and_convert.convert("digits", str(tmp_path), lambda line: None)
    assert not dataset_info.is_complete(str(tmp_path))


def test_interrupted_write_shard_leaves_no_file(tmp_path):
    def failing():
        yield record()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tfrecords.write_shard(str(tmp_path / "x"), failing())
    assert not list(tmp_path.iterdir())


def test_empty_filename_is_omitted():
    example = tfrecords.image_to_tfexample(b"x", b"jpeg", 2, 3, 1)
    assert "image/filename" not in example.features.feature
