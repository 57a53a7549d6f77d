"""The order contract, the exact counts and the messages of the input pipeline."""

import dataclasses
import io
import itertools
import os
import struct
import subprocess
import sys
import threading
import time

import numpy as np
import PIL.Image
import pytest
import tensorflow as tf

from classifier import inputs
from classifier.inputs import order as inputs_order
from datasets import dataset_info, image_dataset, splits, tfrecords
from preprocessing import preprocessing_factory
from slim import _checks
from slim.data import records
from tests import source_tree
from tests.datasets import mutations

NUM_CLASSES = 6
SHARD_SIZES = (13, 30, 17)
SPEC = splits.DatasetSpec("toy", "unused", "toy_%s-*.tfrecord")


def png(value, side=8, channels=3):
    rng = np.random.RandomState(value)
    buffer = io.BytesIO()
    PIL.Image.fromarray(rng.randint(0, 256, (side, side, channels), np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def images(count, first=0):
    return [
        tfrecords.ImageRecord(png(i), "png", 8, 8, i % NUM_CLASSES, f"café/{i:03d}.png")
        for i in range(first, first + count)
    ]


def write(directory, shard_sizes=SHARD_SIZES, records=None):
    """Writes a dataset of shards with the given numbers of records; returns its directory."""
    records = records or images(sum(shard_sizes))
    ends = list(itertools.accumulate(shard_sizes))
    shards = tuple(
        tfrecords.write_shard(
            str(directory / tfrecords.shard_name("toy", "train", i, len(shard_sizes))),
            records[end - size : end],
        )
        for i, (size, end) in enumerate(zip(shard_sizes, ends, strict=True))
    )
    per_class = [sum(r.label == c for r in records) for c in range(NUM_CLASSES)]
    per_class[0] += len(records) - sum(per_class)
    split = dataset_info.SplitInfo(len(records), tuple(per_class), shards)
    names = tuple(f"class {c}" for c in range(NUM_CLASSES))
    dataset_info.write(dataset_info.DatasetInfo("toy", names, 3, {"train": split}), str(directory))
    return str(directory)


def load(directory):
    return image_dataset.from_facts(splits.read_facts(SPEC, "train", str(directory)), 3)


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    return load(write(tmp_path_factory.mktemp("toy")))


def training(dataset, **kwargs):
    settings = {"image_size": (8, 8), "batch_size": 7, "seed": 5, "shuffle_buffer_mb": 1}
    settings["preprocessing_fn"] = preprocessing_factory.get_preprocessing("cifarnet", True)
    return inputs.training_dataset(dataset, **(settings | kwargs))


def noisy(image, height, width, seed):
    """A preprocessing that is random and quick to trace."""
    return tf.cast(image, tf.float32) + tf.random.stateless_uniform([height, width, 3], seed)


def evaluation(dataset, **kwargs):
    settings = {"image_size": (8, 8), "batch_size": 7}
    fn = preprocessing_factory.get_preprocessing("lenet")
    return inputs.evaluation_dataset(dataset, preprocessing_fn=fn, **(settings | kwargs))


def first(dataset, count):
    return list(dataset.take(count).as_numpy_iterator())


def assert_same(batches, others):
    assert len(batches) == len(others)
    for batch, other in zip(batches, others, strict=True):
        assert batch.keys() == other.keys()
        for key, value in batch.items():
            np.testing.assert_array_equal(value, other[key], err_msg=key)


def identities(records):
    return [(int(r["shard"]), int(r["record"])) for r in records]


# ---- order ---------------------------------------------------------------------------------------


def test_every_epoch_has_every_record_once_in_another_order(toy):
    records = first(inputs.training_records(toy, seed=1), 3 * 60)
    epochs = [identities(records[60 * e : 60 * (e + 1)]) for e in range(3)]
    everything = {(shard, r) for shard, size in enumerate(SHARD_SIZES) for r in range(size)}
    for number, epoch in enumerate(epochs):
        assert set(epoch) == everything
        assert len(epoch) == 60
        assert [int(r["epoch"]) for r in records[60 * number : 60 * (number + 1)]] == [number] * 60
    assert len({tuple(epoch) for epoch in epochs}) == 3
    assert [int(r["index"]) for r in records] == [*range(60)] * 3


def test_other_seeds_give_other_orders(toy):
    orders = {
        tuple(identities(first(inputs.training_records(toy, seed=seed), 60)))
        for seed in (0, 1, 2**31, 2**32, -1)
    }
    assert len(orders) == 5


def test_a_window_holds_only_what_the_buffer_allows(tmp_path):
    big = [image._replace(encoded=image.encoded + bytes(20_000)) for image in images(200)]
    dataset = load(write(tmp_path, (120, 80), big))
    records = first(inputs.training_records(dataset, seed=0, shuffle_buffer_mb=1), 200)
    assert len(set(identities(records))) == 200
    segments = inputs_order.cut_into_segments(dataset, 1_000_000 // 12)
    assert segments.count.sum() == 200
    assert segments.bytes.max() <= 1_000_000 // 12
    # 4.1 MB in windows of 0.33 to 0.42 MB: the first 16 records come from the first window alone.
    window = {shard * 1000 + number for shard, number in identities(records[:16])}
    spans = {
        (int(s), int(f) + k): i
        for i, (s, f, c) in enumerate(
            zip(segments.shard, segments.first, segments.count, strict=True)
        )
        for k in range(c)
    }
    assert len({spans[divmod(r, 1000)] for r in window}) <= 5


@pytest.mark.parametrize("readers,threads", [(1, 1), (2, 2), (8, 8), (4, None)])
def test_threads_do_not_change_the_batches(toy, readers, threads):
    plain = first(training(toy, num_readers=1, num_preprocessing_threads=1), 12)
    assert_same(
        plain, first(training(toy, num_readers=readers, num_preprocessing_threads=threads), 12)
    )


def test_small_pictures_prepared_several_at_once_are_those_prepared_alone(toy, monkeypatch):
    together = first(training(toy), 12)
    monkeypatch.setattr(inputs.batches, "_SMALL", 0)
    assert_same(first(training(toy), 12), together)


@pytest.mark.parametrize("threads", [1, 2])
def test_as_many_examples_are_prepared_at_once_as_asked_for(toy, threads):
    running, most, lock = 0, 0, threading.Lock()

    def count():
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.02)
        with lock:
            running -= 1
        return np.float32(0)

    def preprocess(image, height, width, seed):
        busy = tf.ensure_shape(tf.numpy_function(count, [], tf.float32), [])
        return tf.zeros([height, width, 3]) + busy

    settings = {"preprocessing_fn": preprocess, "num_preprocessing_threads": threads}
    first(training(toy, **settings), 4)
    assert most == min(threads, os.cpu_count()), "TensorFlow has a thread for each core"


@pytest.mark.parametrize("start", [0, 1, 12, 13, 59, 60, 61, 119, 120, 199])
def test_resuming_gives_the_same_tail(toy, start):
    whole = first(training(toy, batch_size=1, num_preprocessing_threads=2), start + 8)
    assert_same(whole[start:], first(training(toy, batch_size=1, start_index=start), 8))


@pytest.mark.slow
@pytest.mark.parametrize("threads", [1, 2, 8])
def test_resuming_at_every_index_gives_the_same_tail(toy, threads):
    whole = first(training(toy, batch_size=1, preprocessing_fn=noisy), 240)
    for start in range(201):
        resumed = training(
            toy,
            batch_size=1,
            preprocessing_fn=noisy,
            start_index=start,
            num_readers=threads,
            num_preprocessing_threads=threads,
        )
        assert_same(whole[start:], first(resumed, 240 - start))


def test_more_workers_than_shards_make_the_batches_of_one(tmp_path):
    dataset = load(write(tmp_path, (20,)))
    settings = {"preprocessing_fn": noisy, "batch_size": 6}
    parts = [first(training(dataset, **settings, worker=(index, 3)), 7) for index in range(3)]
    joined = [
        {key: np.concatenate([part[key] for part in batch]) for key in batch[0]}
        for batch in zip(*parts, strict=True)
    ]
    assert_same(first(training(dataset, **settings), 7), joined)


def test_batches_run_across_the_end_of_an_epoch(toy):
    batch = first(training(toy), 9)[8]
    assert batch["epoch"].tolist() == [0] * 4 + [1] * 3
    assert batch["index"].tolist() == [56, 57, 58, 59, 0, 1, 2]


def test_augmentation_is_drawn_anew_for_each_example_and_epoch(toy):
    batch = first(training(toy, preprocessing_fn=noisy, batch_size=120), 1)[0]
    places = [
        sum(SHARD_SIZES[:s]) + r for s, r in zip(batch["shard"], batch["record"], strict=True)
    ]
    pictures = [np.asarray(PIL.Image.open(io.BytesIO(png(place)))) for place in places]
    drawn = batch["image"] - pictures
    assert drawn.min() >= 0
    assert drawn.max() <= 1
    assert len({row.tobytes() for row in drawn}) == 120


def test_skipped_records_are_not_decoded(tmp_path):
    broken = images(60)
    dataset = load(write(tmp_path))
    order = identities(first(inputs.training_records(dataset, seed=5, shuffle_buffer_mb=1), 40))
    starts = [0, *itertools.accumulate(SHARD_SIZES)]
    for shard, record in order:
        place = starts[shard] + record
        broken[place] = broken[place]._replace(encoded=b"x" * len(broken[place].encoded))
    dataset = load(write(tmp_path, records=broken))
    assert len(first(training(dataset, batch_size=1, start_index=40), 20)) == 20
    with pytest.raises(tf.errors.InvalidArgumentError):
        first(training(dataset, batch_size=1, start_index=39), 1)


def test_records_without_dataset_info_are_counted(tmp_path, toy):
    write(tmp_path)
    (tmp_path / dataset_info.FILE_NAME).unlink()
    dataset_info.write_label_file(dict(enumerate("abcdef")), str(tmp_path))
    dataset = load(tmp_path)
    assert (dataset.num_samples, dataset.num_classes) == (60, 6)
    assert_same(first(training(dataset), 9), first(training(toy), 9))


# ---- evaluation ----------------------------------------------------------------------------------


@pytest.mark.parametrize("batch_size", [1, 7, 60, 64])
@pytest.mark.parametrize("threads", [1, None])
def test_evaluation_gives_every_record_once_in_file_order(toy, batch_size, threads):
    dataset = evaluation(toy, batch_size=batch_size, num_preprocessing_threads=threads)
    batches = first(dataset, -1)
    assert len(batches) == int(dataset.cardinality()) == -(-60 // batch_size)
    mask = np.concatenate([batch["mask"] for batch in batches])
    assert mask.tolist() == [True] * 60 + [False] * (len(mask) - 60)
    names = np.concatenate([batch["filename"] for batch in batches])
    assert names[mask].tolist() == [f"café/{i:03d}.png".encode() for i in range(60)]
    labels = np.concatenate([batch["label"] for batch in batches])
    assert labels[mask].tolist() == [i % NUM_CLASSES for i in range(60)]
    assert all(batch["image"].shape == (batch_size, 8, 8, 3) for batch in batches)
    assert not batches[-1]["image"][~batches[-1]["mask"]].any()


def test_evaluation_pixels_are_those_of_the_pictures(toy):
    batch = first(evaluation(toy, batch_size=60), 1)[0]
    for row in range(60):
        pixels = np.asarray(PIL.Image.open(io.BytesIO(png(row))), np.float32)
        np.testing.assert_array_equal(batch["image"][row], (pixels - 128) / 128)


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 6])
def test_evaluation_counts_are_exact_for_small_datasets(tmp_path, count):
    dataset = load(write(tmp_path, (count,)))
    assert (
        sum(int(batch["mask"].sum()) for batch in first(evaluation(dataset, batch_size=3), -1))
        == count
    )


def test_labels_offset_is_subtracted(tmp_path):
    shifted = [image._replace(label=1 + i % 5) for i, image in enumerate(images(10))]
    dataset = load(write(tmp_path, (10,), shifted))
    labels = first(evaluation(dataset, batch_size=10, labels_offset=1), 1)[0]["label"]
    assert labels.tolist() == [i % 5 for i in range(10)]


# ---- messages ------------------------------------------------------------------------------------


def run(dataset, kind, **kwargs):
    made = training(dataset, **kwargs) if kind == "training" else evaluation(dataset, **kwargs)
    with inputs.translate_errors(dataset):
        first(made, 10)


both = pytest.mark.parametrize("kind", ["training", "evaluation"])
SHARD = "toy_train-00001-of-00003.tfrecord"


@both
def test_label_out_of_range_is_named(tmp_path, kind):
    bad = images(60)
    bad[13 + 4] = bad[13 + 4]._replace(label=6)
    dataset = load(write(tmp_path, records=bad))
    with pytest.raises(_checks.UserError) as caught:
        run(dataset, kind)
    assert str(caught.value) == (
        f"Label 6 of 'café/017.png' ({SHARD}, record 4) is out of range: the model has 6 classes,"
        " so with labels_offset=0 labels must be 0 to 5."
        " If the labels start at 1, set labels_offset=1"
    )


@both
def test_label_below_the_offset_is_named(toy, kind):
    with pytest.raises(_checks.UserError, match=r"^Label 0 of .* set labels_offset=0$"):
        run(toy, kind, labels_offset=1)


def test_the_error_passes_through_a_tf_function(toy):
    iterator = iter(training(toy, labels_offset=1))

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


@both
def test_shard_cut_at_a_record_boundary(tmp_path, kind):
    dataset = load(write(tmp_path))
    path = tmp_path / SHARD
    path.write_bytes(path.read_bytes()[: boundaries(path)[6]])
    with pytest.raises(_checks.RunError) as caught:
        run(dataset, kind)
    assert str(caught.value) == (
        f"Shard {SHARD} has only 7 records where 30 are recorded: re-copy or rebuild this shard"
    )


@both
def test_shard_with_too_many_records(tmp_path, kind):
    dataset = load(write(tmp_path))
    path = tmp_path / SHARD
    path.write_bytes(path.read_bytes() * 2)
    with pytest.raises(_checks.RunError, match=f"^Shard {SHARD} has more than 30 records where 30"):
        run(dataset, kind)


@both
def test_shard_cut_inside_a_record(tmp_path, kind):
    dataset = load(write(tmp_path))
    path = tmp_path / SHARD
    path.write_bytes(path.read_bytes()[: boundaries(path)[6] + 20])
    with pytest.raises(
        _checks.RunError, match=f"{SHARD} is cut inside record 7, .*re-copy or rebuild"
    ):
        run(dataset, kind)


@pytest.mark.slow
def test_a_length_beyond_the_file_is_refused_before_it_is_read(tmp_path):
    """TensorFlow's reader asks for the memory first: without the check the process aborts."""
    write(tmp_path)
    content = (tmp_path / SHARD).read_bytes()
    size = struct.pack("<Q", 1 << 40)
    at = boundaries(tmp_path / SHARD)[6]
    lying = content[:at] + size + mutations.masked_crc(size) + content[at + 12 :]
    assert len(lying) == len(content)
    (tmp_path / SHARD).write_bytes(lying)
    code = (
        "import sys; from tests.classifier import test_inputs as t\n"
        "for kind in ('training', 'evaluation'):\n"
        "    try: t.run(t.load(sys.argv[1]), kind)\n"
        "    except t._checks.RunError as error: print(kind, error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        cwd=source_tree.ROOT,
        env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    told = f"Shard {tmp_path}/{SHARD} is cut inside record 7, or is no TFRecord file"
    assert [line.split(" (")[0] for line in done.stdout.splitlines()] == [
        f"training {told}",
        f"evaluation {told}",
    ]


def test_lengths_are_walked_again_only_when_a_file_has_changed(tmp_path, monkeypatch):
    dataset, walked = load(write(tmp_path)), []
    count = records.count_records
    monkeypatch.setattr(records, "count_records", lambda path: walked.append(path) or count(path))
    inputs_order.shard_counts(dataset)
    assert sorted(walked) == sorted(dataset.data_sources)
    inputs_order.shard_counts(dataset)
    assert len(walked) == 3
    (tmp_path / SHARD).write_bytes((tmp_path / SHARD).read_bytes()[:-1])
    with pytest.raises(_checks.RunError, match=f"{SHARD} is cut inside record 29, or is no TFR"):
        inputs_order.shard_counts(dataset)
    assert len(walked) == 4


@both
def test_flipped_bit(tmp_path, kind):
    dataset = load(write(tmp_path))
    path = tmp_path / SHARD
    data = bytearray(path.read_bytes())
    data[boundaries(path)[6] + 40] ^= 1
    path.write_bytes(data)
    with pytest.raises(
        _checks.RunError, match=f"^Shard {SHARD} is damaged at record 7 .*rebuild this shard$"
    ):
        run(dataset, kind)


@both
def test_shard_emptied_or_removed_after_the_start(tmp_path, kind):
    dataset = load(write(tmp_path))
    made = training(dataset) if kind == "training" else evaluation(dataset)
    (tmp_path / SHARD).write_bytes(b"")
    with pytest.raises(_checks.RunError, match=f"^Shard {SHARD} has only 0 records where 30"):
        with inputs.translate_errors(dataset):
            first(made, 10)
    (tmp_path / SHARD).unlink()
    with pytest.raises(_checks.RunError, match=f"^Shard {SHARD} has disappeared$"):
        with inputs.translate_errors(dataset):
            first(made, 10)


@both
@pytest.mark.parametrize(
    "encoded,reason",
    [
        (b"", "0 bytes that begin with b''"),
        (b"<html>404</html>", "16 bytes that begin as HTML or XML does"),
        (png(1)[:60], "60 bytes that begin as PNG does"),
        (b"\xff\xd8\xff\xe0broken", "10 bytes that begin as JPEG does"),
    ],
)
def test_bad_image_is_named(tmp_path, kind, encoded, reason):
    bad = images(60)
    bad[20] = bad[20]._replace(encoded=encoded)
    dataset = load(write(tmp_path, records=bad))
    with pytest.raises(_checks.RunError) as caught:
        run(dataset, kind)
    assert str(caught.value).startswith(
        f"Cannot decode image 'café/020.png' ({SHARD}, record 7): {reason}; "
    )
    assert "\n" not in str(caught.value)


def test_bad_image_is_looked_for_where_the_run_was(tmp_path):
    bad = images(60)
    bad[2] = bad[2]._replace(encoded=b"first in the files")
    dataset = load(write(tmp_path, records=bad))
    order = identities(first(inputs.training_records(dataset, seed=5), 60))
    later = order[order.index((0, 2)) + 1 :][:3] + [(1, 0)]
    place = {0: 0, 1: 13, 2: 43}[later[0][0]] + later[0][1]
    bad[place] = bad[place]._replace(encoded=b"met first after the start")
    dataset = load(write(tmp_path, records=bad))
    start = order.index((0, 2)) + 1
    with pytest.raises(_checks.RunError, match=f"café/{place:03d}.png"):
        with inputs.translate_errors(
            dataset, lambda: inputs.training_records(dataset, seed=5, start_index=start)
        ):
            first(training(dataset, start_index=start, shuffle_buffer_mb=512), 1)


@both
def test_missing_feature_is_named(tmp_path, kind):
    dataset = load(write(tmp_path))
    path = tmp_path / SHARD
    example = tf.train.Example()
    example.features.feature["image/encoded"].bytes_list.value.append(png(0))
    with tf.io.TFRecordWriter(str(path)) as writer:
        for _ in range(30):
            writer.write(example.SerializeToString())
    with pytest.raises(_checks.RunError) as caught:
        run(dataset, kind)
    assert str(caught.value) == (
        f"{SHARD}, record 0 has no feature 'image/class/label'; it has: image/encoded"
    )


@both
def test_record_that_is_no_example(tmp_path, kind):
    dataset = load(write(tmp_path))
    with tf.io.TFRecordWriter(str(tmp_path / SHARD)) as writer:
        for _ in range(30):
            writer.write(b"\xff\xff\xff")
    with pytest.raises(
        _checks.RunError, match=f"^{SHARD}, record 0 is no tf.train.Example: re-copy"
    ):
        run(dataset, kind)


def test_errors_that_are_not_the_datas_pass(toy):
    with pytest.raises(tf.errors.InvalidArgumentError), inputs.translate_errors(toy):
        tf.debugging.Assert(False, ["something else"])
    with pytest.raises(tf.errors.NotFoundError), inputs.translate_errors(toy):
        tf.io.read_file("/no/such/file")


def test_an_empty_split_is_refused(toy):
    empty = dataclasses.replace(toy, shard_counts=(0, 0, 0), num_samples=0)
    for make in (training, evaluation):
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
    for make in (training, evaluation):
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
        training(toy, **wrong)
