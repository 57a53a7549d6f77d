"""Large images above a limit are found in a file of records without reading it."""

import tensorflow as tf

from datasets import tfrecords
from slim import _image_limits
from slim.data import large_images, records
from tests import disk_reads
from tests.datasets import bombs

REJECTED = bombs.rejected()
KEYS = ("image/class/label", "image/filename")


def write(path, images, **extra):
    with tf.io.TFRecordWriter(str(path)) as writer:
        for label, (name, content) in enumerate(images.items()):
            example = tfrecords.image_to_tfexample(content, "x", 0, 0, label, name, extra)
            writer.write(example.SerializeToString())
    return str(path)


def find(path, problem_of=_image_limits.problem):
    return list(large_images.find_rejected(path, records.find_records(path), problem_of, keys=KEYS))


def test_large_images_above_a_limit_are_described(tmp_path):
    valid = bombs.large() | {"small.png": b"not an image"}
    large = {name: REJECTED[name][0] for name in ("segments.jpg", "zeros.jpg")}
    small = {name: REJECTED[name][0] for name in ("tiny.webp", "scans.jpg")}
    path = write(tmp_path / "shard", {**small, **large, **valid})
    images = find(path)
    assert [image.record for image in images] == [2, 3]
    for image, (name, content) in zip(images, large.items(), strict=True):
        assert (image.size, image.prefix) == (len(content), content[:16])
        assert image.problem == REJECTED[name][1]
        features = image.example.features.feature
        assert features["image/filename"].bytes_list.value == [name.encode()]
        assert features["image/class/label"].int64_list.value == [image.record]
        assert features["image/encoded"].bytes_list.value == [b""]


def test_a_small_image_in_a_large_record_is_left_to_the_decoder(tmp_path):
    images = {"tiny.webp": REJECTED["tiny.webp"][0]}
    assert not find(write(tmp_path / "shard", images, mask=bytes(9_000_000)))


def test_other_records_are_no_images(tmp_path):
    with tf.io.TFRecordWriter(str(tmp_path / "shard")) as writer:
        writer.write(bytes(9_000_000))
    assert not find(str(tmp_path / "shard"))


@disk_reads.counted
def test_only_headers_of_large_records_are_read(tmp_path):
    huge = bombs.with_segments(65533, 400)
    images = {f"{number}.jpg": bombs.JPEG for number in range(2_000)}
    path = write(tmp_path / "shard", images | {"huge.jpg": huge})
    offsets = records.find_records(path)
    before = disk_reads.so_far()
    images = large_images.find_rejected(path, offsets, _image_limits.header_problem, keys=KEYS)
    assert [image.size for image in images] == [len(huge)]
    assert disk_reads.so_far() - before < 400 * 2 * 4_096
