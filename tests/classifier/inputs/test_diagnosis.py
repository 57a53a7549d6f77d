"""What the input pipeline says of bad data and bad arguments."""

import os
import struct
import subprocess
import sys

import pytest
import tensorflow as tf

from classifier import inputs
from classifier.inputs import preprocessing
from classifier.inputs import shuffling as inputs_order
from classifier.model_info import ModelInfo
from preprocessing import preprocessing_factory
from slim import _checks
from slim._problems import as_flags
from slim.data import records
from tests import source_tree
from tests.classifier import toys
from tests.datasets import mutations


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    return toys.load(toys.write(tmp_path_factory.mktemp("toy")))


both = pytest.mark.parametrize("kind", ["training", "evaluation"])
training_first = pytest.mark.parametrize(
    "kind", ["training", pytest.param("evaluation", marks=pytest.mark.slow)]
)


@both
def test_label_out_of_range_is_named(tmp_path, kind):
    bad = toys.images(60)
    bad[13 + 4] = bad[13 + 4]._replace(label=6)
    dataset = toys.load(toys.write(tmp_path, records=bad))
    with pytest.raises(_checks.UserError) as caught:
        toys.run(dataset, kind)
    assert str(caught.value) == (
        f"Label 6 of 'café/017.png' ({toys.SHARD}, record 4) is out of range: the model has 6"
        " classes,"
        " so with labels_offset=0 labels must be 0 to 5."
        " If the labels start at 1, number the class names from 1, with lines '1:name' in"
        " labels.txt or labels_file, and set labels_offset=1"
    )
    assert "labels.txt or --labels_file, and set --labels_offset=1" in as_flags(caught.value)


@training_first
def test_label_below_the_offset_is_named(toy, kind):
    with pytest.raises(_checks.UserError, match=r"^Label 0 of .* set labels_offset=0$"):
        toys.run(toy, kind, labels_offset=1)


def test_the_error_passes_through_a_tf_function(toy):
    iterator = iter(toys.training(toy, labels_offset=1))

    @tf.function
    def steps():
        for _ in tf.range(10):
            next(iterator)

    with pytest.raises(_checks.UserError, match=r"^Label 0 of "), inputs.translate_errors(toy):
        steps()


def boundaries(path):
    """Returns the byte at which each record of a TFRecord file ends."""
    data, offset, ends = path.read_bytes(), 0, []
    while offset < len(data):
        offset += 16 + int.from_bytes(data[offset : offset + 8], "little")
        ends.append(offset)
    return ends


@training_first
def test_shard_cut_at_a_record_boundary(tmp_path, kind):
    dataset = toys.load(toys.write(tmp_path))
    path = tmp_path / toys.SHARD
    path.write_bytes(path.read_bytes()[: boundaries(path)[6]])
    with pytest.raises(_checks.RunError) as caught:
        toys.run(dataset, kind)
    assert str(caught.value) == (
        f"Shard {toys.SHARD} has only 7 records where 30 are recorded: re-copy or rebuild this"
        " shard"
    )


@training_first
def test_shard_with_too_many_records(tmp_path, kind):
    dataset = toys.load(toys.write(tmp_path))
    path = tmp_path / toys.SHARD
    path.write_bytes(path.read_bytes() * 2)
    with pytest.raises(
        _checks.RunError, match=f"^Shard {toys.SHARD} has more than 30 records where 30"
    ):
        toys.run(dataset, kind)


@both
def test_shard_cut_inside_a_record(tmp_path, kind):
    dataset = toys.load(toys.write(tmp_path))
    path = tmp_path / toys.SHARD
    path.write_bytes(path.read_bytes()[: boundaries(path)[6] + 20])
    with pytest.raises(
        _checks.RunError, match=f"{toys.SHARD} is truncated inside record 7, .*re-copy or rebuild"
    ):
        toys.run(dataset, kind)


@pytest.mark.slow
def test_a_length_beyond_the_file_is_refused_before_it_is_read(tmp_path):
    """TensorFlow's reader asks for the memory first: without the check the process aborts."""
    toys.write(tmp_path)
    content = (tmp_path / toys.SHARD).read_bytes()
    size = struct.pack("<Q", 1 << 40)
    at = boundaries(tmp_path / toys.SHARD)[6]
    lying = content[:at] + size + mutations.masked_crc(size) + content[at + 12 :]
    assert len(lying) == len(content)
    (tmp_path / toys.SHARD).write_bytes(lying)
    code = (
        "import sys; from slim import _checks; from tests.classifier import toys as t\n"
        "for kind in ('training', 'evaluation'):\n"
        "    try: t.run(t.load(sys.argv[1]), kind)\n"
        "    except _checks.RunError as error: print(kind, error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        cwd=source_tree.ROOT,
        env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    message = (
        f"Shard {tmp_path}/{toys.SHARD} is truncated inside record 7, or is not a TFRecord file"
    )
    assert [line.split(" (")[0] for line in done.stdout.splitlines()] == [
        f"training {message}",
        f"evaluation {message}",
    ]


def test_lengths_are_walked_again_only_when_a_file_has_changed(tmp_path, monkeypatch):
    dataset, walked = toys.load(toys.write(tmp_path)), []
    find = records.find_records
    monkeypatch.setattr(records, "find_records", lambda path: walked.append(path) or find(path))
    inputs_order.shard_counts(dataset)
    assert sorted(walked) == sorted(dataset.data_sources)
    inputs_order.shard_counts(dataset)
    assert len(walked) == 3
    (tmp_path / toys.SHARD).write_bytes((tmp_path / toys.SHARD).read_bytes()[:-1])
    with pytest.raises(
        _checks.RunError, match=f"{toys.SHARD} is truncated inside record 29, or is not a TFR"
    ):
        inputs_order.shard_counts(dataset)
    assert len(walked) == 4


@both
def test_flipped_bit(tmp_path, kind):
    dataset = toys.load(toys.write(tmp_path))
    path = tmp_path / toys.SHARD
    data = bytearray(path.read_bytes())
    data[boundaries(path)[6] + 40] ^= 1
    path.write_bytes(data)
    with pytest.raises(
        _checks.RunError, match=f"^Shard {toys.SHARD} is damaged at record 7 .*rebuild this shard$"
    ):
        toys.run(dataset, kind)


@both
def test_shard_emptied_or_removed_after_the_start(tmp_path, kind):
    dataset = toys.load(toys.write(tmp_path))
    built = toys.training(dataset) if kind == "training" else toys.evaluation(dataset)
    (tmp_path / toys.SHARD).write_bytes(b"")
    with pytest.raises(_checks.RunError, match=f"^Shard {toys.SHARD} has only 0 records where 30"):
        with inputs.translate_errors(dataset):
            toys.first(built, 10)
    (tmp_path / toys.SHARD).unlink()
    with pytest.raises(_checks.RunError, match=f"^Shard {toys.SHARD} was removed$"):
        with inputs.translate_errors(dataset):
            toys.first(built, 10)


@training_first
@pytest.mark.parametrize(
    "encoded,reason",
    [
        (b"", "0 bytes starting with b''"),
        pytest.param(
            b"<html>404</html>",
            "16 bytes with a HTML or XML header",
            marks=pytest.mark.slow,
        ),
        (toys.png(1)[:60], "60 bytes with a PNG header"),
        pytest.param(
            b"\xff\xd8\xff\xe0broken", "10 bytes with a JPEG header", marks=pytest.mark.slow
        ),
    ],
)
def test_bad_image_is_named(tmp_path, kind, encoded, reason):
    bad = toys.images(60)
    bad[20] = bad[20]._replace(encoded=encoded)
    dataset = toys.load(toys.write(tmp_path, records=bad))
    with pytest.raises(_checks.RunError) as caught:
        toys.run(dataset, kind)
    assert str(caught.value).startswith(
        f"Cannot decode image 'café/020.png' ({toys.SHARD}, record 7): {reason}; "
    )
    assert "\n" not in str(caught.value)


def test_bad_image_is_looked_for_where_the_run_was(tmp_path):
    bad = toys.images(60)
    bad[2] = bad[2]._replace(encoded=b"first in the files")
    dataset = toys.load(toys.write(tmp_path, records=bad))
    order = toys.identities(toys.first(inputs.training_records(dataset, seed=5), 60))
    later = order[order.index((0, 2)) + 1 :][:3] + [(1, 0)]
    place = {0: 0, 1: 13, 2: 43}[later[0][0]] + later[0][1]
    bad[place] = bad[place]._replace(encoded=b"met first after the start")
    dataset = toys.load(toys.write(tmp_path, records=bad))
    start = order.index((0, 2)) + 1
    with pytest.raises(_checks.RunError, match=f"café/{place:03d}.png"):
        with inputs.translate_errors(
            dataset, lambda: inputs.training_records(dataset, seed=5, start_index=start)
        ):
            toys.first(toys.training(dataset, start_index=start, shuffle_buffer_mb=512), 1)


@training_first
def test_missing_feature_is_named(tmp_path, kind):
    dataset = toys.load(toys.write(tmp_path))
    path = tmp_path / toys.SHARD
    example = tf.train.Example()
    example.features.feature["image/encoded"].bytes_list.value.append(toys.png(0))
    with tf.io.TFRecordWriter(str(path)) as writer:
        for _ in range(30):
            writer.write(example.SerializeToString())
    with pytest.raises(_checks.RunError) as caught:
        toys.run(dataset, kind)
    assert str(caught.value) == (
        f"{toys.SHARD}, record 0 has no feature 'image/class/label'; it has: image/encoded"
    )


@training_first
def test_label_of_another_kind_is_named(tmp_path, kind):
    dataset = toys.load(toys.write(tmp_path))
    path = str(tmp_path / toys.SHARD)
    examples = [tf.train.Example.FromString(e.numpy()) for e in tf.data.TFRecordDataset(path)]
    examples[4].features.feature["image/class/label"].int64_list.value.append(5)
    with tf.io.TFRecordWriter(path) as writer:
        for example in examples:
            writer.write(example.SerializeToString())
    with pytest.raises(_checks.RunError) as caught:
        toys.run(dataset, kind)
    assert as_flags(caught.value) == (
        f"{toys.SHARD}, record 4 ('café/017.png') has the feature 'image/class/label' with"
        " 2 values of type int64 (5, 5); expected: one of type int64. To train on several labels"
        " per image, pass --multi_label"
    )


@training_first
def test_record_that_is_not_an_example_is_an_error(tmp_path, kind):
    dataset = toys.load(toys.write(tmp_path))
    with tf.io.TFRecordWriter(str(tmp_path / toys.SHARD)) as writer:
        for _ in range(30):
            writer.write(b"\xff\xff\xff")
    with pytest.raises(
        _checks.RunError, match=f"^{toys.SHARD}, record 0 is not a tf.train.Example: re-copy"
    ):
        toys.run(dataset, kind)


@pytest.mark.parametrize("kind", ["training", "evaluation", "training without bad images"])
def test_unsupported_image_size_is_an_error(toy, kind):
    kind, _, more = kind.partition(" ")
    prepare = preprocessing_factory.get_preprocessing("vgg", is_training=kind == "training")
    flags = {"skipped": inputs.BadImages()} if more else {}
    with pytest.raises(_checks.UserError, match="^height=257, width=256 is larger than "):
        toys.run(toy, kind, preprocessing_fn=prepare, image_size=(257, 256), **flags)


@pytest.mark.parametrize(
    "make, dtype",
    [(preprocessing.encoded_batch_fn, tf.string), (preprocessing.image_batch_fn, tf.uint8)],
)
def test_unsupported_image_size_is_an_error_in_a_graph(make, dtype):
    info = ModelInfo(
        model_name="vgg_16", num_classes=10, image_size=(224, 224), preprocessing_name="vgg"
    )
    prepare = make(info, (257, 256))
    shape = [2] if dtype is tf.string else [2, 8, 8, 3]
    with (
        tf.Graph().as_default(),
        pytest.raises(_checks.UserError, match="^height=257, width=256 is larger than "),
    ):
        prepare(tf.raw_ops.Placeholder(dtype=dtype, shape=shape))


def test_errors_that_are_not_the_datas_pass(toy):
    with pytest.raises(tf.errors.InvalidArgumentError), inputs.translate_errors(toy):
        tf.debugging.Assert(False, ["something else"])
    with pytest.raises(tf.errors.NotFoundError), inputs.translate_errors(toy):
        tf.io.read_file("/no/such/file")


def test_an_empty_shard_is_refused_unless_its_records_are_recorded(tmp_path):
    dataset = toys.load(toys.write(tmp_path))
    (tmp_path / toys.SHARD).write_bytes(b"")
    uncounted = dataset.replace(shard_counts=(13, None, 17))
    with pytest.raises(_checks.UserError, match=rf"Shard .*{toys.SHARD} is empty \(0 bytes\): re-"):
        inputs_order.shard_counts(uncounted)
    recorded = dataset.replace(shard_counts=(13, 0, 17))
    assert inputs_order.shard_counts(recorded) == [13, 0, 17]


def test_an_empty_split_is_refused(toy):
    empty = toy.replace(shard_counts=(0, 0, 0), num_samples=0)
    for make in (toys.training, toys.evaluation):
        with pytest.raises(
            _checks.UserError, match="Split 'train' of dataset 'toy' has no records"
        ):
            make(empty)


@pytest.mark.parametrize(
    "wrong,message",
    [
        ({"batch_size": 0}, "batch_size=0 must be positive"),
        ({"image_size": (0, 8)}, "height=0 must be positive"),
        ({"labels_offset": -1}, "labels_offset=-1 must not be negative"),
        ({"labels_offset": 6}, "num_classes=0 must be positive"),
        ({"num_readers": 0}, "num_readers=0 must be positive"),
        ({"num_preprocessing_threads": 0}, "num_preprocessing_threads=0 must be positive"),
    ],
)
def test_numbers_out_of_range_are_refused(toy, wrong, message):
    for make in (toys.training, toys.evaluation):
        with pytest.raises(_checks.UserError, match=message):
            make(toy, **wrong)


@pytest.mark.parametrize(
    "wrong,message",
    [
        ({"start_index": -1}, "start_index=-1 must not be negative"),
        ({"shuffle_buffer_mb": 0}, "shuffle_buffer_mb=0 must be positive"),
    ],
)
def test_training_numbers_out_of_range_are_refused(toy, wrong, message):
    with pytest.raises(_checks.UserError, match=message):
        toys.training(toy, **wrong)
