"""Reading all of a dataset: what is in order, and each way in which it is not."""

import os

import pytest
import tensorflow as tf

from datasets import dataset_info, tfrecords, verify
from slim import _checks
from tests.datasets import sample_files


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


SHARD = tfrecords.shard_name("folder", "train", 0, 2)


def problems(directory):
    lines = []
    with pytest.raises(_checks.RunError, match=r"has \d+ problem\(s\)") as caught:
        verify.run(str(directory), lines.append)
    found = [line.strip() for line in lines if line.startswith("  ") and "pixels" not in line]
    assert str(caught.value) == f"{directory} has {len(found)} problem(s)"
    return found


def rewrite(directory, *records):
    tfrecords.write_shard(str(directory / SHARD), records)


def test_in_order(directory):
    lines = []
    verify.run(str(directory), lines.append)
    size = sum(os.path.getsize(directory / name) for name in os.listdir(directory) if "tfr" in name)
    assert lines == [
        f"train: 6 records in 2 file(s), {size / 1e6:.1f} MB; 2 different labels; 6 jpeg",
        "  from 8 x 9 to 8 x 9 pixels (height x width)",
        f"{directory} is in order",
    ]


def test_a_flipped_bit(directory):
    content = bytearray((directory / SHARD).read_bytes())
    content[-100] ^= 1
    (directory / SHARD).write_bytes(bytes(content))
    found = problems(directory)
    assert found[0] == (
        f"{SHARD} record 2: its checksum is wrong; the 1 records from there on cannot be read"
    )
    assert found[1] == f"{SHARD} has 2 readable records, dataset_info.json says 3"
    assert found[2] == "split 'train' has other records of each class than is written down"


def test_a_cut_shard(directory):
    os.truncate(directory / SHARD, os.path.getsize(directory / SHARD) - 5)
    found = problems(directory)
    assert found[0].startswith(f"Shard {directory}/{SHARD} is cut inside record 2")
    assert f"{SHARD} has 2 readable records, dataset_info.json says 3" in found


def test_a_missing_shard(directory):
    os.remove(directory / SHARD)
    found = problems(directory)
    assert found[0] == f"{SHARD} is missing"


def test_another_file_of_the_same_counts(directory):
    rewrite(directory, *(record(number, filename="other.jpg") for number in range(3)))
    assert problems(directory) == [f"{SHARD} is not the file whose sha256 is in dataset_info.json"]


@pytest.mark.parametrize(
    "fields, expected",
    [
        ({"encoded": b"BM, or not"}, "the picture cannot be decoded (it starts with b'BM, or n')"),
        ({"encoded": sample_files.jpeg(8, 9)[:-300]}, "the picture cannot be decoded"),
        ({"label": 2}, "label 2 is outside 0..1"),
        ({"label": -1}, "label -1 is outside 0..1"),
        ({"height": 9}, "image/height says 9, the picture has 8"),
        ({"width": 8}, "image/width says 8, the picture has 9"),
    ],
)
def test_a_wrong_record(directory, fields, expected):
    rewrite(directory, record(0), record(1, **fields), record(2))
    assert problems(directory)[0].startswith(f"{SHARD} record 1: {expected}")


def test_no_example_and_no_picture_in_it(directory):
    with tf.io.TFRecordWriter(str(directory / SHARD)) as writer:
        writer.write(b"\x00nonsense")
        writer.write(tf.train.Example().SerializeToString())
    found = problems(directory)
    assert found[0].startswith(f"{SHARD} record 0: is no tf.train.Example (")
    assert found[1].startswith(f"{SHARD} record 1: lacks image/encoded or image/class/label; it")


def test_many_problems_are_cut(directory):
    rewrite(directory, *(record(n, label=7) for n in range(60)))
    lines = []
    with pytest.raises(_checks.RunError, match="has 62 problem"):
        verify.run(str(directory), lines.append)
    assert sum("label 7" in line for line in lines) == 50


def test_without_info(directory):
    os.remove(directory / "dataset_info.json")
    lines = []
    verify.run(str(directory), lines.append)
    assert lines[0].startswith("all files: 6 records in 2 file(s)")
    rewrite(directory, record(0, label=-3))
    assert problems(directory) == [f"{SHARD} record 0: label -3 is negative"]
    (directory / "labels.txt").write_text("0:a\n1:b\n")
    assert problems(directory) == [f"{SHARD} record 0: label -3 is outside 0..1"]


def test_missing_shards_and_too_large_labels_without_info(tmp_path):
    for number in (1, 4):
        path = tmp_path / f"flowers_train_{number:05d}-of-00005.tfrecord"
        tfrecords.write_shard(str(path), [record(0, label=number), record(1, label=number + 1)])
    path = tmp_path / "flowers_validation_00000-of-00001.tfrecord"
    tfrecords.write_shard(str(path), [record(0, label=0)])
    assert problems(tmp_path) == [
        "flowers_train_00004-of-00005.tfrecord record 1: label 5 is outside 0..4",
        *(f"flowers_train_{number:05d}-of-00005.tfrecord is missing" for number in (0, 2, 3)),
    ]


def test_nothing_to_verify(tmp_path):
    (tmp_path / "notes.txt").touch()
    with pytest.raises(_checks.UserError, match="No dataset in .*It holds: notes.txt"):
        verify.run(str(tmp_path))
    with pytest.raises(_checks.UserError, match="dataset_dir='nowhere' is not a folder"):
        verify.run("nowhere")
