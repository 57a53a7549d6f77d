"""Features of a record without its largest value, compared with protobuf's parser."""

import random

import pytest
import tensorflow as tf

from slim import _files
from slim._file_ranges import FileRange
from slim.data import partial_examples
from tests import disk_reads

IMAGE = "image/encoded"
KEYS = ("image/class/label", "image/format", "image/filename", "missing")


def feature(*values):
    if isinstance(values[0], bytes):
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=values))
    if isinstance(values[0], int):
        return tf.train.Feature(int64_list=tf.train.Int64List(value=values))
    return tf.train.Feature(float_list=tf.train.FloatList(value=values))


def serialized(**more):
    features = {
        IMAGE: feature(bytes(range(256)) * 40),
        "image/class/label": feature(-7),
        "image/format": feature(b"jpeg"),
        "image/filename": feature("café.jpg".encode()),
        "image/object/bbox/xmin": feature(0.25, 0.5),
    }
    features |= {name.replace("_", "/"): value for name, value in more.items()}
    return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()


def field(number, content):
    """Returns a field of a message."""
    size, head = len(content), bytes([number << 3 | 2])
    while size > 0x7F:
        head, size = head + bytes([size & 0x7F | 0x80]), size >> 7
    return head + bytes([size]) + content


def entry(key, value):
    return field(1, field(1, key.encode()) + field(2, value.SerializeToString()))


@pytest.fixture
def read(tmp_path):
    """Reads a record from a file: the example without image and the image, or None."""

    def run(data, keys=KEYS):
        (tmp_path / "file").write_bytes(b"before" + data + b"after")
        with _files.open_regular(tmp_path / "file") as file:
            part = partial_examples.read(FileRange(file, 6, len(data)), IMAGE, keys)
            return part and (part.example, part.value[:])

    return run


def expected(data, keys=KEYS):
    """Returns what `read` should, from the complete example."""
    features = tf.train.Example.FromString(data).features.feature
    image = features[IMAGE].bytes_list.value[0]
    kept = tf.train.Example()
    for key in {*keys, IMAGE} & {*features}:
        kept.features.feature[key].CopyFrom(features[key])
    kept.features.feature[IMAGE].bytes_list.value[:] = [b""]
    return kept, image


@pytest.mark.parametrize(
    "data",
    [
        serialized(),
        serialized() + serialized(image_format=feature(b"png")),  # features are merged
        field(1, entry(IMAGE, feature(b"first")) + entry(IMAGE, feature(b"last"))),
        field(7, b"unknown") + b"\x50\xac\x02\x59" + bytes(8) + b"\x5d" + bytes(4) + serialized(),
        field(1, entry(IMAGE, feature(b""))),
        field(1, b"".join(entry(f"{n}", feature(n)) for n in range(1_500))) + serialized(),
    ],
)  # fmt: skip
def test_features_and_image_are_those_of_the_complete_example(read, data):
    assert read(data) == expected(data)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff",
        bytes(100),
        serialized()[:-1],
        serialized(image_encoded=feature(3)),
        serialized(image_encoded=feature(b"one", b"two")),
        serialized(image_encoded=tf.train.Feature()),
        tf.train.Example().SerializeToString(),
        field(1, entry("image/class/label", feature(1))),
        field(1, field(1, field(1, IMAGE.encode()))),
        field(1, b"".join(entry(f"{n}", feature(n)) for n in range(3_000))) + serialized(),
        serialized() + field(1, field(1, field(1, b"image/format") + field(2, b"??"))),
        b"\x0b" + serialized(),  # a group
    ],
)  # fmt: skip
def test_a_damaged_or_unusual_record_is_left_to_tensorflow(read, data):
    assert read(data) is None


def test_another_large_feature_is_dropped(read):
    data = serialized(image_filename=feature(bytes(100_000)))
    example, image = read(data)
    assert sorted(example.features.feature) == ["image/class/label", IMAGE, "image/format"]
    assert image == expected(data)[1]


def test_mutated_records_are_read_as_protobuf_reads_them(read):
    content = serialized(image_encoded=feature(b"an image"))
    counts = {True: 0, False: 0}
    for number in range(1_000):
        rng = random.Random(number)
        data = bytearray(content)
        for _ in range(rng.randint(1, 3)):
            data[rng.randrange(len(data))] = rng.choice((0, 1, 2, 10, 18, 0x7F, 0x80, 0xFF))
        actual = read(bytes(data))
        counts[actual is not None] += 1
        if actual is not None and is_example(bytes(data)):
            assert actual == expected(bytes(data)), number
    assert min(counts.values()) > 100


def is_example(data):
    try:
        return bool(tf.train.Example.FromString(data))
    except Exception:  # protobuf's DecodeError, which TensorFlow does not export
        return False


@disk_reads.counted
def test_the_image_is_not_read(read, tmp_path):
    data = serialized(image_encoded=feature(bytes(5_000_000)))
    assert read(data) is not None
    with _files.open_regular(tmp_path / "file") as file:
        before = disk_reads.so_far()
        partial_examples.read(FileRange(file, 6, len(data)), IMAGE, KEYS)
    assert disk_reads.so_far() - before < 50_000
