"""Balanced sampling: how often, in which order, and after resuming."""

import collections
import functools

import numpy as np
import pytest

from classifier import inputs
from classifier.config import options
from classifier.config.training import TrainConfig
from classifier.inputs import balanced
from classifier.resolve.training import training_run
from classifier.training.batches import TrainingBatches
from datasets import dataset_factory
from slim import _checks
from tests.classifier import toys

COUNTS = (40, 9, 4, 2, 4, 1)


@functools.cache
def unequal():
    """60 images of six classes, in no order."""
    labels = np.random.RandomState(0).permutation(np.repeat(np.arange(6), COUNTS))
    images = toys.images(60)
    return [p._replace(label=int(label)) for p, label in zip(images, labels, strict=True)]


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    return toys.load(toys.write(tmp_path_factory.mktemp("toy"), records=unequal()))


def records(dataset, count, **more):
    actual = inputs.training_records(
        dataset, balanced=balanced.index_records(dataset), **{"seed": 3} | more
    )
    return toys.first(actual, count)


@pytest.fixture(scope="module")
def whole(toy):
    """The beginning of a run."""
    return records(toy, 1020)


def label_of(record):
    first = sum(toys.SHARD_SIZES[: int(record["shard"])])
    return unequal()[first + int(record["record"])].label


def test_every_class_comes_equally_often(toy, whole):
    actual = whole[:60]
    labels = [label_of(record) for record in actual]
    for start in range(0, 60, 6):
        assert sorted(labels[start : start + 6]) == list(range(6))
    assert len({tuple(labels[start : start + 6]) for start in range(0, 60, 6)}) > 5
    assert [int(r["index"]) for r in actual] == list(range(60))
    assert int(records(toy, 1, start_index=125)[0]["epoch"]) == 2


def test_the_records_are_what_the_shards_hold(toy, whole):
    plain = toys.first(inputs.training_records(toy, seed=0), 60)
    expected = {(int(r["shard"]), int(r["record"])): r["serialized"] for r in plain}
    for record in whole[:60]:
        key = int(record["shard"]), int(record["record"])
        assert record["serialized"] == expected[key]


def test_all_of_a_class_come_before_one_comes_again(whole):
    seen = collections.defaultdict(list)
    for record in whole[: 6 * 80]:
        where = int(record["shard"]), int(record["record"])
        seen[label_of(record)].append(where)
    for label, count in enumerate(COUNTS):
        passes = [seen[label][at : at + count] for at in range(0, 80 - count + 1, count)]
        assert all(len(set(one)) == count for one in passes)
    passes = {tuple(seen[1][at : at + 9]) for at in range(0, 72, 9)}
    assert len(passes) == 8, "each pass in another order"


@pytest.mark.parametrize("start", [1, 6, 400, 1000])
def test_resuming_is_arithmetic(toy, whole, start):
    toys.assert_same(whole[start : start + 20], records(toy, 20, start_index=start))


class Counted(np.ndarray):
    """An array that counts the elements that NumPy's functions of elements process."""

    elements = 0

    def __array_ufunc__(self, ufunc, method, *inputs, **options):
        inputs = [np.asarray(each) for each in inputs]
        Counted.elements += max(each.size for each in inputs)
        return getattr(ufunc, method)(*inputs, **options)


@pytest.mark.parametrize("start", [0, 10**9])
def test_the_work_before_the_first_draw_does_not_grow_with_the_classes(monkeypatch, start):
    labels = np.random.RandomState(0).permutation(np.repeat(np.arange(5000), 4))
    places = np.arange(len(labels))
    index = balanced.Index(places, places, places, places, labels.view(Counted))
    permuted, permutation = [], balanced._permutation
    monkeypatch.setattr(
        balanced,
        "_permutation",
        lambda size, *key: permuted.append(size) or permutation(size, *key),
    )
    numbers, draws = next(balanced._draws(index, 3, start))
    assert Counted.elements <= 4 * len(labels)
    Counted.elements = 0
    assert len(permuted) <= len(draws) + 2
    assert sum(permuted) <= 4 * len(draws) + 2 * 5000
    assert numbers.tolist() == list(range(start, start + len(draws)))
    assert len(set(labels[draws])) > len(draws) // 2


def test_the_order_is_that_of_earlier_versions(whole):
    expected = [(2, 14), (1, 23), (2, 11), (0, 8), (0, 2), (1, 3), (0, 2), (1, 10)]
    assert toys.identities(whole[:8]) == expected


def test_another_seed_is_another_order(toy):
    orders = {tuple(toys.identities(records(toy, 30, seed=seed))) for seed in (0, 2**33, -1)}
    assert len(orders) == 3


def test_speed_options_change_nothing_and_batches_are_whole(toy):
    one = toys.training(
        toy, balanced=balanced.index_records(toy), num_readers=1, preprocessing_fn=toys.noisy
    )
    other = toys.training(
        toy, balanced=balanced.index_records(toy), num_readers=8, preprocessing_fn=toys.noisy
    )
    toys.assert_same(toys.first(one, 6), toys.first(other, 6))
    later = toys.training(
        toy, balanced=balanced.index_records(toy), start_index=14, preprocessing_fn=toys.noisy
    )
    toys.assert_same(toys.first(one, 6)[2:], toys.first(later, 4))


def test_the_split_is_read_once_for_a_run(digits, monkeypatch):
    read = []
    index_records = inputs.index_records
    monkeypatch.setattr(
        inputs, "index_records", lambda dataset: read.append(1) or index_records(dataset)
    )
    flags = {"train_dir": "run", "dataset_name": "digits", "dataset_dir": str(digits)}
    config = options.build(TrainConfig, **flags, model_name="lenet", balanced_sampling=True)
    dataset = dataset_factory.get_dataset("digits", "train", str(digits))
    batches = TrainingBatches(training_run(config), dataset)
    for step in (0, 7):
        batches.batch(step)
    assert read == [1]


def test_a_damaged_shard_is_named(tmp_path):
    dataset = toys.load(toys.write(tmp_path, records=unequal()))
    path = tmp_path / dataset.shard_names[1]
    path.write_bytes(path.read_bytes()[:100] + b"?" + path.read_bytes()[101:])
    with (
        pytest.raises(_checks.RunError, match=f"Shard {dataset.shard_names[1]} is damaged"),
        inputs.translate_errors(dataset),
    ):
        records(dataset, 1)
