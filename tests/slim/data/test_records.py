"""Counting records without TensorFlow."""

import os
import struct
import subprocess
import sys

import pytest
import tensorflow as tf

from slim import _checks
from slim.data import records
from tests import disk_reads


def write(path, sizes):
    with tf.io.TFRecordWriter(str(path)) as writer:
        for size in sizes:
            writer.write(bytes(size))
    return str(path)


@pytest.mark.parametrize("sizes", [[0], [1, 2, 3], [100_000] * 3, [0] * 50])
def test_number_of_records_equals_what_tensorflow_reads(tmp_path, sizes):
    path = write(tmp_path / "a", sizes)
    assert records.count_records(path) == len(list(tf.data.TFRecordDataset(path))) == len(sizes)


@pytest.mark.parametrize("size", [0, 1, 300, 4080, 4081, 5000])
def test_records_are_located_by_offset_and_length(tmp_path, size):
    path = write(tmp_path / "a", [size, 3, 7, size, size, 0] * 30)
    places = records.find_records(path)
    content = (tmp_path / "a").read_bytes()
    lengths = [struct.unpack_from("<Q", content, begin)[0] for begin in places[:-1]]
    assert lengths == [size, 3, 7, size, size, 0] * 30
    assert places[-1] == len(content)


@disk_reads.counted
@pytest.mark.parametrize("size,most", [(0, 40), (100, 160), (100_000, 40)])
def test_counting_reads_little_more_than_the_lengths(tmp_path, size, most):
    path = write(tmp_path / "a", [size] * 200)
    before = disk_reads.so_far()
    records.count_records(path)
    assert (disk_reads.so_far() - before) / 200 < most


def test_empty_file_has_no_records(tmp_path):
    (tmp_path / "a").write_bytes(b"")
    with pytest.raises(
        _checks.UserError, match=r"Shard .*a is empty \(0 bytes\): re-copy or rebuild"
    ):
        records.count_records(str(tmp_path / "a"))


def test_truncation_is_detected_everywhere_except_between_records(tmp_path):
    path = tmp_path / "a"
    write(path, [5, 9])
    content = path.read_bytes()
    for cut in range(1, len(content)):
        path.write_bytes(content[:cut])
        if cut == 16 + 5:
            assert records.count_records(str(path)) == 1
            continue
        number = int(cut > 16 + 5)
        with pytest.raises(
            _checks.UserError, match=f"a is truncated inside record {number}, or is not a TFRecord"
        ):
            records.count_records(str(path))


def test_text_file_is_an_error(tmp_path):
    (tmp_path / "a").write_text("this is a text file and no TFRecord file at all")
    with pytest.raises(_checks.UserError, match="is not a TFRecord file"):
        records.count_records(str(tmp_path / "a"))


@pytest.mark.parametrize("kind", ["GZIP", "ZLIB"])
def test_compressed_file_is_an_error_whose_command_decompresses_it(tmp_path, kind):
    path = str(tmp_path / "it's 1")
    with tf.io.TFRecordWriter(path, kind) as writer:
        for size in (3, 70_000):
            writer.write(bytes(size))
    with pytest.raises(_checks.UserError, match=rf"is compressed \({kind.lower()}\)") as caught:
        records.count_records(path)
    with pytest.raises(_checks.RunError, match="is compressed"):
        records.find_all_records([path], [None])
    command = str(caught.value).partition("Decompress it: ")[2].replace("python", sys.executable)
    subprocess.run(command, shell=True, check=True)
    assert [len(each.numpy()) for each in tf.data.TFRecordDataset(path)] == [3, 70_000]


def test_counting_records_does_not_load_tensorflow():
    code = (
        "import sys; from slim.data import Dataset, records; from datasets import dataset_factory,"
        " download_and_convert; from preprocessing import preprocessing_factory as p;"
        " p.resolve_name('vgg_16'); assert 'tensorflow' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_single_record_is_read_by_offset(tmp_path):
    path = str(tmp_path / "shard")
    contents = [b"first", b"", bytes(range(256))]
    with tf.io.TFRecordWriter(path) as writer:
        for content in contents:
            writer.write(content)
    assert [records.read_record(path, number) for number in range(3)] == contents
    with pytest.raises(ValueError, match="number=3: .*shard has 3 records"):
        records.read_record(path, 3)


def test_wrong_file_lengths_are_errors_that_name_the_file(tmp_path):
    paths = [str(tmp_path / name) for name in ("good", "empty", "cut")]
    for path in paths:
        with tf.io.TFRecordWriter(path) as writer:
            writer.write(b"something")
    os.truncate(paths[1], 0)
    os.truncate(paths[2], 20)
    places = records.find_all_records(paths[:2], [None, 0])
    assert [list(each) for each in places] == [[0, 12 + 9 + 4], [0]]
    with pytest.raises(_checks.RunError, match="cut is truncated inside record 0, or is not"):
        records.find_all_records(paths, [None, 0, None])
    with pytest.raises(_checks.UserError, match=r"Shard .*empty is empty \(0 bytes\): re-copy or"):
        records.find_all_records(paths[:2], [1, None])
