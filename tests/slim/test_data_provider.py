"""The provider and the parallel reader: completeness, order and invalid arguments."""

import collections
import itertools

import pytest
import tensorflow as tf

import slim
from slim import _checks
from slim.data import parallel_reader

COUNTS = (7, 1, 12)
TOTAL = sum(COUNTS)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shards [1]")
    paths, number = [], 0
    for shard, count in enumerate(COUNTS):
        paths.append(str(folder / f"toy-{shard}"))
        with tf.io.TFRecordWriter(paths[-1]) as writer:
            for _ in range(count):
                example = tf.train.Example()
                example.features.feature["label"].int64_list.value.append(number)
                example.features.feature["name"].bytes_list.value.append(b"record %d" % number)
                writer.write(example.SerializeToString())
                number += 1
    features = {
        "label": tf.io.FixedLenFeature([], tf.int64),
        "name": tf.io.FixedLenFeature([], tf.string),
    }
    handlers = {key: slim.data.Tensor(key) for key in features}
    return slim.data.Dataset(
        name="toy",
        split_name="train",
        data_sources=tuple(paths),
        shard_counts=COUNTS,
        decoder=slim.data.TFExampleDecoder(features, handlers),
        num_samples=TOTAL,
        num_classes=TOTAL,
    )


def labels(provider, count):
    return [int(provider.get(["label"])[0]) for _ in range(count)]


def label_in(record):
    return tf.train.Example.FromString(record.numpy()).features.feature["label"].int64_list.value[0]


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("num_readers", [1, 2, 16])
@pytest.mark.parametrize("capacity", [1, 5, 256])
def test_each_record_is_read_once_per_epoch(dataset, shuffle, num_readers, capacity):
    provider = slim.data.DatasetDataProvider(
        dataset, num_readers, shuffle, common_queue_capacity=capacity
    )
    for _ in range(3):
        assert sorted(labels(provider, TOTAL)) == list(range(TOTAL))


def test_without_shuffle_one_reader_keeps_the_order(dataset):
    provider = slim.data.DatasetDataProvider(dataset, shuffle=False)
    assert labels(provider, 2 * TOTAL) == 2 * list(range(TOTAL))


def test_order_depends_on_the_seed_and_the_epoch(dataset):
    def order(seed, num_readers=2):
        provider = slim.data.DatasetDataProvider(dataset, num_readers, seed=seed)
        return labels(provider, 2 * TOTAL)

    assert order(3) == order(3)
    assert len({tuple(order(seed)) for seed in range(4)}) == 4
    assert order(3)[:TOTAL] != order(3)[TOTAL:]
    assert order(None) != order(None)


@pytest.mark.slow
def test_first_shuffled_record_is_any_of_the_buffer(dataset):
    first = collections.Counter(
        labels(slim.data.DatasetDataProvider(dataset, seed=seed), 1)[0] for seed in range(60)
    )
    assert len(first) > TOTAL // 2


def test_items_of_one_record_are_returned_in_the_requested_order(dataset):
    provider = slim.data.DatasetDataProvider(dataset)
    assert provider.list_items() == ["label", "name"]
    assert provider.num_samples() == TOTAL
    for _ in range(TOTAL):
        name, label = provider.get(["name", "label"])
        assert name.numpy() == b"record %d" % label


def test_unknown_item_is_an_error_that_consumes_no_example(dataset):
    provider = slim.data.DatasetDataProvider(dataset, shuffle=False, num_epochs=1)
    with pytest.raises(_checks.UserError, match="item='lable' is not known; did you mean 'label'"):
        provider.get(["lable"])
    with pytest.raises(_checks.UserError, match="item='image' is not known. Known: label, name"):
        provider.dataset(["image"])
    assert labels(provider, 1) == [0]


def test_provider_ends_after_num_epochs(dataset):
    provider = slim.data.DatasetDataProvider(dataset, num_epochs=2)
    assert sorted(labels(provider, 2 * TOTAL)) == sorted(2 * list(range(TOTAL)))
    with pytest.raises(StopIteration):
        provider.get(["label"])


def test_provider_as_a_tf_data_pipeline(dataset):
    provider = slim.data.DatasetDataProvider(dataset, num_epochs=1, seed=5)
    taken = labels(provider, 3)
    batches = list(provider.dataset(["label", "name"]).batch(8))
    assert [len(batch["label"]) for batch in batches] == [8, 8, 4]
    values = [int(label) for batch in batches for label in batch["label"]]
    assert values[:3] == taken
    assert labels(provider, TOTAL - 3) == values[3:]


@pytest.mark.parametrize(
    "argument, message",
    [
        ({"num_readers": 0}, "num_readers=0 must be positive"),
        ({"num_epochs": 0}, "num_epochs=0 must be positive"),
        ({"common_queue_capacity": 0}, "capacity=0 must be positive"),
        ({"common_queue_min": 257}, "common_queue_min=257 must lie between 0 and 256"),
        ({"seed": -1}, "seed=-1 must"),
    ],
)
def test_arguments_out_of_range_are_errors(dataset, argument, message):
    with pytest.raises(_checks.UserError, match=message):
        slim.data.DatasetDataProvider(dataset, **argument)


@pytest.mark.parametrize("argument", ["reader_kwargs", "record_key", "scope"])
def test_queue_arguments_are_not_supported(dataset, argument):
    with pytest.raises(TypeError, match=argument):
        slim.data.DatasetDataProvider(dataset, **{argument: None})


def test_dataset_and_provider_accept_tf_slims_arguments(dataset):
    created = slim.dataset.Dataset(
        data_sources=dataset.data_sources[0][:-1].replace("[", "[[]") + "*",
        decoder=slim.tfexample_decoder.TFExampleDecoder(
            {"label": tf.io.FixedLenFeature([], tf.int64)},
            {"label": slim.tfexample_decoder.Tensor("label")},
        ),
        num_samples=TOTAL,
        items_to_descriptions={},
        num_classes=TOTAL,
        labels_to_names=None,
    )
    assert created.data_sources == dataset.data_sources
    assert created.shard_counts == (None, None, None)
    settings = {"common_queue_capacity": 20, "seed": 1}
    provider = slim.dataset_data_provider.DatasetDataProvider(
        created, common_queue_min=10, **settings
    )
    values = labels(provider, TOTAL)
    assert sorted(values) == list(range(TOTAL))
    assert values == labels(slim.data.DatasetDataProvider(created, **settings), TOTAL)


# ---- the reader ----------------------------------------------------------------------------------


def test_parallel_read_reads_each_record_once(dataset):
    read = parallel_reader.parallel_read(dataset.data_sources, num_epochs=2, seed=1)
    assert sorted(label_in(record) for record in read) == sorted(2 * list(range(TOTAL)))
    again = [label_in(record) for record in read]
    assert again == [label_in(record) for record in read]
    endless = parallel_reader.parallel_read(dataset.data_sources)
    assert len(list(itertools.islice(endless, 5 * TOTAL))) == 5 * TOTAL


def test_single_pass_read_keeps_the_order(dataset):
    read = parallel_reader.single_pass_read(dataset.data_sources)
    assert [label_in(record) for record in read] == list(range(TOTAL))


def test_get_data_files_expands_patterns(dataset, tmp_path):
    for name in ("b-1", "b-0", "c"):
        (tmp_path / name).touch()
    (tmp_path / "b-2").mkdir()
    pattern = str(tmp_path / "b-*")
    paths = [str(tmp_path / name) for name in ("b-0", "b-1")]
    assert parallel_reader.get_data_files(pattern) == paths
    assert parallel_reader.get_data_files([str(tmp_path / "c"), pattern]) == [
        str(tmp_path / "c"),
        *paths,
    ]
    assert parallel_reader.get_data_files(dataset.data_sources) == list(dataset.data_sources)
    with pytest.raises(_checks.UserError, match="data_sources='.*/d-.*' matches no file"):
        parallel_reader.get_data_files(str(tmp_path / "d-*"))
    with pytest.raises(_checks.UserError, match="data_sources is empty: there are no"):
        parallel_reader.parallel_read([])


@pytest.mark.parametrize("global_seed", [0, 7])
def test_order_is_independent_of_tensorflows_global_seed(dataset, global_seed):
    expected = labels(slim.data.DatasetDataProvider(dataset, seed=3), TOTAL)
    tf.random.set_seed(global_seed)
    assert labels(slim.data.DatasetDataProvider(dataset, seed=3), TOTAL) == expected
