"""Verification of valid datasets, and of each kind of damage."""

import os

import pytest
import tensorflow as tf

from datasets import dataset_info, tfrecords, verify
from slim import _checks
from tests.datasets import bombs, sample_files


def record(number, **fields):
    values = {
        "encoded": sample_files.jpeg(8, 9, number),
        "format": "jpeg",
        "height": 8,
        "width": 9,
        "label": number % 2,
        "filename": f"{number}.jpg",
    }
    return tfrecords.ImageRecord(**(values | fields))


@pytest.fixture
def directory(tmp_path):
    split = tfrecords.write_split(
        [record(number) for number in range(6)],
        dataset_dir=str(tmp_path),
        dataset_name="folder",
        split_name="train",
        num_classes=2,
        num_shards=2,
    )
    dataset_info.write(
        dataset_info.DatasetInfo("folder", ("a", "b"), 3, {"train": split}), str(tmp_path)
    )
    return tmp_path


LABEL, IMAGE = "image/class/label", "image/encoded"
SHARD = tfrecords.shard_name("folder", "train", 0, 2)


def problems(directory):
    lines = []
    with pytest.raises(_checks.RunError, match=r"has \d+ problem\(s\)") as caught:
        verify.run(str(directory), lines.append)
    listed = [
        line.strip()
        for line in lines
        if line.startswith("  ") and "pixels" not in line and "warning: " not in line
    ]
    assert str(caught.value) == f"{directory} has {len(listed)} problem(s)"
    return listed


def rewrite(directory, *records):
    tfrecords.write_shard(str(directory / SHARD), records)


def test_valid_dataset_is_summarized(directory):
    lines = []
    verify.run(str(directory), lines.append)
    size = sum(os.path.getsize(directory / name) for name in os.listdir(directory) if "tfr" in name)
    assert lines == [
        f"train: 6 records in 2 file(s), {size / 1e6:.1f} MB; 2 distinct labels; formats: 6 jpeg",
        "  from 8 x 9 to 8 x 9 pixels (height x width)",
        f"{directory} is valid",
    ]


def test_flipped_bit_is_reported(directory):
    content = bytearray((directory / SHARD).read_bytes())
    content[-100] ^= 1
    (directory / SHARD).write_bytes(bytes(content))
    lines = problems(directory)
    assert lines[0] == (
        f"{SHARD} record 2: wrong checksum; the 1 records from there on are not readable"
    )
    assert lines[1] == f"{SHARD} has 2 readable records, dataset_info.json has 3"
    assert lines[2] == "split 'train' has other class counts than dataset_info.json"


def test_truncated_shard_is_reported(directory):
    os.truncate(directory / SHARD, os.path.getsize(directory / SHARD) - 5)
    lines = problems(directory)
    assert lines[0].startswith(f"Shard {directory}/{SHARD} is truncated inside record 2")
    assert f"{SHARD} has 2 readable records, dataset_info.json has 3" in lines


def test_missing_shard_is_reported(directory):
    os.remove(directory / SHARD)
    lines = problems(directory)
    assert lines[0] == f"{SHARD} is missing"


def test_shard_with_another_checksum_is_reported(directory):
    rewrite(directory, *(record(number, filename="other.jpg") for number in range(3)))
    assert problems(directory) == [f"{SHARD} has another sha256 than recorded in dataset_info.json"]


@pytest.mark.parametrize(
    "fields, expected",
    [
        ({"encoded": b"BM, or not"}, "the image cannot be decoded (it starts with b'BM, or n')"),
        ({"encoded": sample_files.jpeg(8, 9)[:-300]}, "the image cannot be decoded"),
        ({"label": 2}, "label 2 is outside 0..1"),
        ({"label": -1}, "label -1 is outside 0..1"),
        ({"height": 9}, "image/height is 9, the image has 8"),
        ({"width": 8}, "image/width is 8, the image has 9"),
    ],
)
def test_inconsistent_record_is_reported(directory, fields, expected):
    rewrite(directory, record(0), record(1, **fields), record(2))
    assert problems(directory)[0].startswith(f"{SHARD} record 1 ('1.jpg'): {expected}")


def test_record_without_example_or_image_is_reported(directory):
    with tf.io.TFRecordWriter(str(directory / SHARD)) as writer:
        writer.write(b"\x00nonsense")
        writer.write(tf.train.Example().SerializeToString())
    lines = problems(directory)
    assert lines[0].startswith(f"{SHARD} record 0: not a tf.train.Example (")
    assert lines[1] == f"{SHARD} record 1: has no feature 'image/encoded'; it has: none"


@pytest.mark.parametrize(
    "key, values, expected",
    [
        (LABEL, {"int64_list": [0, 1]}, "with 2 values of type int64 (0, 1); expected: one of ty"),
        (LABEL, {"bytes_list": [b"a"]}, "with 1 value of type string (b'a'); expected: one of ty"),
        (LABEL, {"int64_list": []}, "with no value; expected: one of type int64"),
        (IMAGE, {"int64_list": [7]}, "with 1 value of type int64 (7); expected: one of type stri"),
    ],
)
def test_feature_of_another_kind_is_reported(directory, key, values, expected):
    example = tfrecords.image_to_tfexample(*record(4))
    example.features.feature[key].Clear()
    ((kind, content),) = values.items()
    getattr(example.features.feature[key], kind).value.extend(content)
    with tf.io.TFRecordWriter(str(directory / SHARD)) as writer:
        writer.write(example.SerializeToString())
    lines = problems(directory)
    assert lines[0].startswith(f"{SHARD} record 0 ('4.jpg'): has the feature {key!r} {expected}")


def test_long_list_of_problems_is_truncated(directory):
    rewrite(directory, *(record(n, label=7) for n in range(60)))
    lines = []
    with pytest.raises(_checks.RunError, match="has 62 problem"):
        verify.run(str(directory), lines.append)
    assert sum("label 7" in line for line in lines) == 50


def test_dataset_without_info_is_verified(directory):
    os.remove(directory / "dataset_info.json")
    lines = []
    verify.run(str(directory), lines.append)
    assert lines[0].startswith("all files: 6 records in 2 file(s)")
    rewrite(directory, record(0, label=-3))
    assert problems(directory) == [f"{SHARD} record 0 ('0.jpg'): label -3 is negative"]
    (directory / "labels.txt").write_text("0:a\n1:b\n")
    assert problems(directory) == [f"{SHARD} record 0 ('0.jpg'): label -3 is outside 0..1"]


def test_missing_shards_and_large_labels_are_reported_without_info(tmp_path):
    for number in (1, 4):
        path = tmp_path / f"flowers_train_{number:05d}-of-00005.tfrecord"
        tfrecords.write_shard(str(path), [record(0, label=number), record(1, label=number + 1)])
    path = tmp_path / "flowers_validation_00000-of-00001.tfrecord"
    tfrecords.write_shard(str(path), [record(0, label=0)])
    assert problems(tmp_path) == [
        "flowers_train_00004-of-00005.tfrecord record 1 ('1.jpg'): label 5 is outside 0..4",
        *(f"flowers_train_{number:05d}-of-00005.tfrecord is missing" for number in (0, 2, 3)),
    ]


def test_directory_without_dataset_is_rejected(tmp_path):
    (tmp_path / "notes.txt").touch()
    with pytest.raises(_checks.UserError, match="No dataset in .*directory holds: notes.txt"):
        verify.run(str(tmp_path))
    with pytest.raises(_checks.UserError, match="dataset_dir='nowhere' is not a directory"):
        verify.run("nowhere")


ABOVE_LIMIT = bombs.with_segments(65533, 160)
REASON = "the image has 10486296 bytes, but an image of 16 x 16 pixels may have at most 8390656"


def test_large_images_are_decoded_unless_they_exceed_a_limit(directory):
    large = bombs.large().values()
    valid = [record(0, encoded=content, height=2100, width=2000) for content in large]
    rewrite(directory, valid[0], record(1), valid[1])
    shard = verify.read_shard(str(directory / SHARD), num_classes=2)
    assert (shard.num_records, shard.problems, shard.sides[1]) == (3, [], (2100, 2000))

    bad = [record(n, encoded=ABOVE_LIMIT, label=label) for n, label in enumerate((0, 1, 9))]
    rewrite(directory, bad[0], bad[1], record(0), valid[0], bad[2])
    shard = verify.read_shard(str(directory / SHARD), num_classes=2)
    assert shard.problems == [
        f"{SHARD} record 0 ('0.jpg'): {REASON}",
        f"{SHARD} record 1 ('1.jpg'): {REASON}",
        f"{SHARD} record 4 ('2.jpg'): label 9 is outside 0..1",
    ]
    assert (shard.num_records, shard.labels) == (5, {0: 3, 1: 1, 9: 1})
    assert shard.formats == {"jpeg": 5}


def test_damage_after_a_large_image_above_a_limit_is_reported(directory):
    rewrite(directory, record(0, encoded=ABOVE_LIMIT), record(1), record(2))
    data = bytearray((directory / SHARD).read_bytes())
    data[-100] ^= 1
    (directory / SHARD).write_bytes(data)
    shard = verify.read_shard(str(directory / SHARD), num_classes=2)
    assert shard.problems == [
        f"{SHARD} record 0 ('0.jpg'): {REASON}",
        f"{SHARD} record 2: wrong checksum; the 1 records from there on are not readable",
    ]


def test_each_of_several_labels_is_checked(tmp_path):
    labels = ((0, 1), (), (1,), (2, 0))
    shard = tfrecords.write_shard(
        str(tmp_path / SHARD), [record(number, label=each) for number, each in enumerate(labels)]
    )
    split = dataset_info.SplitInfo(4, (2, 2), (shard,))
    info = dataset_info.DatasetInfo("folder", ("a", "b"), 3, {"train": split}, multi_label=True)
    dataset_info.write(info, str(tmp_path))
    listed = problems(tmp_path)
    assert f"{SHARD} record 3 ('3.jpg'): label 2 is outside 0..1" in listed
    assert not any("no image/encoded" in each for each in listed)
