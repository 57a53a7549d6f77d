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
        dataset, num_readers, shuffle=shuffle, common_queue_capacity=capacity
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
        ({"common_queue_min": -1}, "common_queue_min=-1 must not be negative"),
        ({"seed": -1}, "seed=-1 must"),
    ],
)
def test_arguments_out_of_range_are_errors(dataset, argument, message):
    with pytest.raises(_checks.UserError, match=message):
        slim.data.DatasetDataProvider(dataset, **argument)


def test_items_must_be_a_list(dataset):
    provider = slim.data.DatasetDataProvider(dataset)
    with pytest.raises(ValueError, match="items='label' must be a list or tuple of names"):
        provider.get("label")
    assert provider.get([]) == []


def test_record_key_must_not_be_an_item(dataset):
    with pytest.raises(ValueError, match="record_key='label' is also an item of the dataset"):
        slim.data.DatasetDataProvider(dataset, record_key="label")


def test_positional_shuffle_of_earlier_versions_is_an_error(dataset):
    with pytest.raises(TypeError, match="reader_kwargs=False must be a dict"):
        slim.data.DatasetDataProvider(dataset, 1, False)


def test_dataset_and_provider_accept_tf_slims_arguments(dataset):
    pattern = dataset.data_sources[0][:-1].replace("[", "[[]") + "*"
    created = slim.dataset.Dataset(
        pattern,
        tf.compat.v1.TFRecordReader,
        slim.tfexample_decoder.TFExampleDecoder(
            {"label": tf.io.FixedLenFeature([], tf.int64)},
            {"label": slim.tfexample_decoder.Tensor("label")},
        ),
        TOTAL,
        {},
        num_classes=TOTAL,
        labels_to_names=None,
    )
    assert created.data_sources == pattern
    settings = {"common_queue_capacity": 20, "seed": 1}
    provider = slim.dataset_data_provider.DatasetDataProvider(
        created, common_queue_min=10, record_key="key", scope="data", **settings
    )
    values = labels(provider, TOTAL)
    assert sorted(values) == list(range(TOTAL))
    assert values == labels(slim.data.DatasetDataProvider(created, **settings), TOTAL)


def test_reader_may_be_a_class_of_tf_data(dataset, tmp_path):
    path = tmp_path / "lines.csv"
    path.write_text("a;1\nb;2\n")
    read = parallel_reader.parallel_read(str(path), tf.data.TextLineDataset, 1, shuffle=False)
    assert [line.numpy() for line in read] == [b"a;1", b"b;2"]
    read = parallel_reader.single_pass_read(
        dataset.data_sources, tf.data.TFRecordDataset, {"compression_type": ""}
    )
    assert len(list(read)) == TOTAL
    for reader in (tf.compat.v1.TextLineReader, tf.data.experimental.make_csv_dataset):
        with pytest.raises(_checks.UserError, match="reader=.* works in a plain tf.Graph only"):
            parallel_reader.parallel_read(str(path), reader)


def test_methods_of_queues_are_errors_in_eager_code(dataset):
    reader = parallel_reader.ParallelReader(num_readers=2)
    assert reader.num_readers == 2
    for use in (
        lambda: reader.common_queue,
        lambda: reader.read_up_to(dataset.data_sources, 2),
        reader.num_records_produced,
        reader.num_work_units_completed,
    ):
        with pytest.raises(_checks.UserError, match="needs a reader created in a plain tf.Graph"):
            use()
    with pytest.raises(
        _checks.UserError, match="common_queue of a ParallelReader works in a plain"
    ):
        parallel_reader.ParallelReader(None, tf.queue.FIFOQueue(2, [tf.string, tf.string]))


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
    assert parallel_reader.get_data_files(tmp_path / "c") == [str(tmp_path / "c")]
    remote = f"file://{tmp_path}/c"
    assert parallel_reader.get_data_files(remote[:-1] + "[c]") == [remote]
    for read in (parallel_reader.parallel_read, parallel_reader.ParallelReader().read):
        with pytest.raises(_checks.UserError, match="data_sources is empty: there are no"):
            read([])


@pytest.mark.parametrize("global_seed", [0, 7])
def test_order_is_independent_of_tensorflows_global_seed(dataset, global_seed):
    expected = labels(slim.data.DatasetDataProvider(dataset, seed=3), TOTAL)
    tf.random.set_seed(global_seed)
    assert labels(slim.data.DatasetDataProvider(dataset, seed=3), TOTAL) == expected
