"""The order contract and the exact counts of the input pipeline."""

import io
import itertools
import os

import numpy as np
import PIL.Image
import pytest
import tensorflow as tf

from classifier import inputs
from classifier.inputs import shuffling as inputs_order
from datasets import dataset_info
from preprocessing import preprocessing_factory
from slim import _checks
from slim.data import encoded_images, records
from tests import disk_reads
from tests.classifier import at_once, toys


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    return toys.load(toys.write(tmp_path_factory.mktemp("toy")))


def test_every_epoch_has_every_record_once_in_another_order(toy):
    records = toys.first(inputs.training_records(toy, seed=1), 3 * 60)
    epochs = [toys.identities(records[60 * e : 60 * (e + 1)]) for e in range(3)]
    everything = {(shard, r) for shard, size in enumerate(toys.SHARD_SIZES) for r in range(size)}
    for number, epoch in enumerate(epochs):
        assert set(epoch) == everything
        assert len(epoch) == 60
        assert [int(r["epoch"]) for r in records[60 * number : 60 * (number + 1)]] == [number] * 60
    assert len({tuple(epoch) for epoch in epochs}) == 3
    assert [int(r["index"]) for r in records] == [*range(60)] * 3


def test_other_seeds_give_other_orders(toy):
    orders = {
        tuple(toys.identities(toys.first(inputs.training_records(toy, seed=seed), 60)))
        for seed in (0, 2**31, 2**32, -1)
    }
    assert len(orders) == 4


def test_a_window_holds_only_what_the_buffer_allows(tmp_path):
    big = [image._replace(encoded=image.encoded + bytes(20_000)) for image in toys.images(200)]
    dataset = toys.load(toys.write(tmp_path, (120, 80), big))
    records = toys.first(inputs.training_records(dataset, seed=0, shuffle_buffer_mb=1), 200)
    assert len(set(toys.identities(records))) == 200
    segments = inputs_order.cut_into_segments(dataset, 1_000_000 // 12)
    assert segments.count.sum() == 200
    assert segments.bytes.max() <= 1_000_000 // 12
    # 4.1 MB in windows of 0.33 to 0.42 MB: the first 16 records come from the first window alone.
    window = {shard * 1000 + number for shard, number in toys.identities(records[:16])}
    spans = {
        (int(s), int(f) + k): i
        for i, (s, f, c) in enumerate(
            zip(segments.shard, segments.first, segments.count, strict=True)
        )
        for k in range(c)
    }
    assert len({spans[divmod(r, 1000)] for r in window}) <= 5


@pytest.fixture(scope="module")
def cut(tmp_path_factory):
    """A dataset whose shards are cut: of 12 and 8 MB, in records of 50 kB."""
    big = [image._replace(encoded=image.encoded + bytes(50_000)) for image in toys.images(400)]
    return toys.load(toys.write(tmp_path_factory.mktemp("cut"), (240, 160), big))


def test_records_of_segments_are_those_of_their_numbers(cut):
    actual = toys.first(inputs.training_records(cut, seed=0, shuffle_buffer_mb=1), 400)
    for example in actual:
        path = cut.data_sources[example["shard"]]
        assert example["serialized"] == records.read_record(path, int(example["record"]))


@disk_reads.counted
@pytest.mark.parametrize("kind", ["training", "evaluation"])
def test_no_byte_is_read_twice(cut, kind, monkeypatch):
    """What is before a segment in its shard is left out without being read."""
    monkeypatch.setattr(inputs_order, "_EVALUATION_SEGMENT_BYTES", 1 << 20)
    before = disk_reads.so_far()
    if kind == "training":
        settings = {"seed": 0, "shuffle_buffer_mb": 12, "num_readers": 1}
        toys.first(inputs.training_records(cut, **settings), 400)
    else:
        toys.first(inputs_order.evaluation_records(cut, num_readers=1), 400)
    # The reader reads on a little, and the training's into the next epoch: two windows of 4 MB.
    assert disk_reads.so_far() - before < 1.8 * sum(map(os.path.getsize, cut.data_sources))


@pytest.mark.parametrize(
    "counts,message", [((290, 160), "only 240"), ((190, 160), "more than 190")]
)
def test_wrong_counts_of_a_divided_shard_are_an_error(cut, counts, message, monkeypatch):
    monkeypatch.setattr(inputs_order, "_EVALUATION_SEGMENT_BYTES", 1 << 20)
    wrong = cut.replace(shard_counts=counts, num_samples=sum(counts))
    built = inputs_order.evaluation_records(wrong, num_readers=1)
    with pytest.raises(_checks.RunError, match=f"has {message} records where {counts[0]} are"):
        with inputs.translate_errors(wrong):
            toys.first(built, sum(counts))


@pytest.fixture(scope="module")
def plain(toy):
    """Batches prepared by one thread."""
    return toys.first(toys.training(toy, num_readers=1, num_preprocessing_threads=1), 12)


@pytest.mark.parametrize("readers,threads", [(8, 8), pytest.param(4, None, marks=pytest.mark.slow)])
def test_threads_do_not_change_the_batches(toy, plain, readers, threads):
    toys.assert_same(
        plain,
        toys.first(toys.training(toy, num_readers=readers, num_preprocessing_threads=threads), 12),
    )


@pytest.mark.parametrize(
    "batches", [toys.training, pytest.param(toys.evaluation, marks=pytest.mark.slow)]
)
def test_small_images_prepared_together_equal_those_prepared_alone(toy, monkeypatch, batches):
    monkeypatch.setattr(inputs.examples, "_MAX_CHUNK", 4)
    together = toys.first(batches(toy, batch_size=12), 12)
    monkeypatch.setattr(inputs.examples, "_SMALL", 0)
    toys.assert_same(toys.first(batches(toy, batch_size=12), 12), together)


@pytest.mark.parametrize(
    "name",
    [
        "cifarnet",
        *(pytest.param(n, marks=pytest.mark.slow) for n in ("inception", "lenet", "none", "vgg")),
    ],
)
@pytest.mark.parametrize("channels", [pytest.param(1, marks=pytest.mark.slow), 3])
def test_images_evaluated_together_equal_those_evaluated_alone(
    tmp_path, monkeypatch, name, channels
):
    """The first chunks have images of one size, one has several sizes, and the last is smaller."""
    sides = [8] * 8 + [8, 24, 9, 8] + [24] * 4 + [24] * 2
    images = [
        toys.images(1)[0]._replace(encoded=toys.png(number, side, channels))
        for number, side in enumerate(sides)
    ]
    dataset = toys.load(toys.write(tmp_path, (len(sides),), images))
    prepare = preprocessing_factory.get_preprocessing(name)
    settings = {"batch_size": 4, "image_size": (16, 12), "preprocessing_fn": prepare}
    together = toys.first(toys.evaluation(dataset, **settings), -1)
    decode = encoded_images.decode_alike
    monkeypatch.setattr(encoded_images, "decode_alike", lambda *args: 255 - decode(*args))
    inverted = toys.first(toys.evaluation(dataset, **settings), -1)
    are_together = [
        bool((batch["image"] != other["image"]).any())
        for batch, other in zip(together, inverted, strict=True)
    ]
    assert are_together == [True, True, False, True, False]
    monkeypatch.setattr(inputs.examples, "_SMALL", 0)
    toys.assert_same(toys.first(toys.evaluation(dataset, **settings), -1), together)


@pytest.mark.parametrize("threads", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_as_many_examples_are_prepared_at_once_as_asked_for(toy, threads):
    counter = at_once.Counter()
    settings = {
        "preprocessing_fn": counter.wrapped(toys.noisy),
        "num_preprocessing_threads": threads,
    }
    toys.first(toys.training(toy, **settings), 4)
    assert counter.most == at_once.possible(threads)


@pytest.fixture(scope="module")
def whole(toy):
    """The beginning of a run, in batches of one image."""
    settings = {"batch_size": 1, "preprocessing_fn": toys.noisy, "num_preprocessing_threads": 2}
    return toys.first(toys.training(toy, **settings), 208)


@pytest.mark.parametrize("start", [13, pytest.param(60, marks=pytest.mark.slow)])
def test_resuming_gives_the_same_tail(toy, whole, start):
    settings = {"batch_size": 1, "preprocessing_fn": toys.noisy, "start_index": start}
    toys.assert_same(whole[start : start + 8], toys.first(toys.training(toy, **settings), 8))


@pytest.mark.slow
@pytest.mark.parametrize("threads", [1, 2, 8])
def test_resuming_at_every_index_gives_the_same_tail(toy, threads):
    whole = toys.first(toys.training(toy, batch_size=1, preprocessing_fn=toys.noisy), 240)
    for start in range(201):
        resumed = toys.training(
            toy,
            batch_size=1,
            preprocessing_fn=toys.noisy,
            start_index=start,
            num_readers=threads,
            num_preprocessing_threads=threads,
        )
        toys.assert_same(whole[start:], toys.first(resumed, 240 - start))


def test_more_workers_than_shards_make_the_batches_of_one(tmp_path):
    dataset = toys.load(toys.write(tmp_path, (20,)))
    settings = {"preprocessing_fn": toys.noisy, "batch_size": 6}
    parts = [
        toys.first(toys.training(dataset, **settings, worker=(index, 2)), 7) for index in range(2)
    ]
    joined = [
        {key: np.concatenate([part[key] for part in batch]) for key in batch[0]}
        for batch in zip(*parts, strict=True)
    ]
    toys.assert_same(toys.first(toys.training(dataset, **settings), 7), joined)


def test_batches_run_across_the_end_of_an_epoch(plain):
    batch = plain[8]
    assert batch["epoch"].tolist() == [0] * 4 + [1] * 3
    assert batch["index"].tolist() == [56, 57, 58, 59, 0, 1, 2]


def test_augmentation_is_drawn_anew_for_each_example_and_epoch(toy):
    batch = toys.first(toys.training(toy, preprocessing_fn=toys.noisy, batch_size=120), 1)[0]
    places = [
        sum(toys.SHARD_SIZES[:s]) + r for s, r in zip(batch["shard"], batch["record"], strict=True)
    ]
    originals = [np.asarray(PIL.Image.open(io.BytesIO(toys.png(place)))) for place in places]
    drawn = batch["image"] - originals
    assert drawn.min() >= 0
    assert drawn.max() <= 1
    assert len({row.tobytes() for row in drawn}) == 120


def test_skipped_records_are_not_decoded(tmp_path):
    broken = toys.images(60)
    dataset = toys.load(toys.write(tmp_path))
    order = toys.identities(
        toys.first(inputs.training_records(dataset, seed=5, shuffle_buffer_mb=1), 40)
    )
    starts = [0, *itertools.accumulate(toys.SHARD_SIZES)]
    for shard, record in order:
        place = starts[shard] + record
        broken[place] = broken[place]._replace(encoded=b"x" * len(broken[place].encoded))
    dataset = toys.load(toys.write(tmp_path, records=broken))
    settings = {"batch_size": 1, "preprocessing_fn": toys.noisy}
    assert len(toys.first(toys.training(dataset, **settings, start_index=40), 20)) == 20
    with pytest.raises(tf.errors.InvalidArgumentError):
        toys.first(toys.training(dataset, **settings, start_index=39), 1)


def test_records_without_dataset_info_are_counted(tmp_path, plain):
    toys.write(tmp_path)
    (tmp_path / dataset_info.FILE_NAME).unlink()
    dataset_info.write_label_file(dict(enumerate("abcdef")), str(tmp_path))
    dataset = toys.load(tmp_path)
    assert (dataset.num_samples, dataset.num_classes) == (60, 6)
    toys.assert_same(toys.first(toys.training(dataset), 9), plain[:9])


@pytest.mark.parametrize(
    "batch_size, threads",
    [
        pytest.param(1, None, marks=pytest.mark.slow),
        (7, 1),
        (60, None),
        pytest.param(64, 1, marks=pytest.mark.slow),
    ],
)
def test_evaluation_reads_every_record_once_in_file_order(toy, batch_size, threads):
    dataset = toys.evaluation(toy, batch_size=batch_size, num_preprocessing_threads=threads)
    batches = toys.first(dataset, -1)
    assert len(batches) == int(dataset.cardinality()) == -(-60 // batch_size)
    mask = np.concatenate([batch["mask"] for batch in batches])
    assert mask.tolist() == [True] * 60 + [False] * (len(mask) - 60)
    names = np.concatenate([batch["filename"] for batch in batches])
    assert names[mask].tolist() == [f"café/{i:03d}.png".encode() for i in range(60)]
    labels = np.concatenate([batch["label"] for batch in batches])
    assert labels[mask].tolist() == [i % toys.NUM_CLASSES for i in range(60)]
    assert all(batch["image"].shape == (batch_size, 8, 8, 3) for batch in batches)
    assert not batches[-1]["image"][~batches[-1]["mask"]].any()


def test_the_parts_of_several_workers_are_the_batches_of_evaluation(tmp_path):
    dataset = toys.load(toys.write(tmp_path, (9,)))  # of the last batch, the last worker has none
    parts = [
        toys.first(toys.evaluation(dataset, batch_size=6, worker=(i, 3)), -1) for i in range(3)
    ]
    joined = [
        {key: np.concatenate([part[key] for part in batch]) for key in batch[0]}
        for batch in zip(*parts, strict=True)
    ]
    toys.assert_same(toys.first(toys.evaluation(dataset, batch_size=6), -1), joined)


def test_evaluation_pixels_equal_those_of_the_images(toy):
    batch = toys.first(toys.evaluation(toy, batch_size=60), 1)[0]
    for row in range(60):
        pixels = np.asarray(PIL.Image.open(io.BytesIO(toys.png(row))), np.float32)
        np.testing.assert_array_equal(batch["image"][row], (pixels - 128) / 128)


@pytest.mark.parametrize("count", [1, pytest.param(3, marks=pytest.mark.slow), 4])
def test_evaluation_counts_are_exact_for_small_datasets(tmp_path, count):
    dataset = toys.load(toys.write(tmp_path, (count,)))
    assert (
        sum(
            int(batch["mask"].sum())
            for batch in toys.first(toys.evaluation(dataset, batch_size=3), -1)
        )
        == count
    )


def test_labels_offset_is_subtracted(tmp_path):
    shifted = [image._replace(label=1 + i % 5) for i, image in enumerate(toys.images(10))]
    dataset = toys.load(toys.write(tmp_path, (10,), shifted))
    labels = toys.first(toys.evaluation(dataset, batch_size=10, labels_offset=1), 1)[0]["label"]
    assert labels.tolist() == [i % 5 for i in range(10)]
