"""Records and batches through queues in a plain graph: values, order, end and invalid arguments."""

import contextlib

import numpy as np
import pytest
import tensorflow as tf

import slim
from slim import _checks
from slim.data import parallel_reader

v1 = tf.compat.v1
COUNTS = (3, 1, 4)
TOTAL = sum(COUNTS)


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    """Returns shards of consecutive labels, whose records have an image of that value."""
    folder, number, paths = tmp_path_factory.mktemp("shards"), 0, []
    for shard, count in enumerate(COUNTS):
        paths.append(str(folder / f"toy-{shard}"))
        with tf.io.TFRecordWriter(paths[-1]) as writer:
            for _ in range(count):
                image = tf.io.encode_png(np.full((2, 2, 3), number, np.uint8)).numpy()
                example = tf.train.Example()
                example.features.feature["label"].int64_list.value.append(number)
                example.features.feature["image/encoded"].bytes_list.value.append(image)
                writer.write(example.SerializeToString())
                number += 1
    return paths


@pytest.fixture(autouse=True)
def graph():
    with tf.Graph().as_default() as graph:
        yield graph


@contextlib.contextmanager
def session():
    """Yields a session with initialized variables and running queue runners."""
    with v1.Session() as session:
        session.run([v1.global_variables_initializer(), v1.local_variables_initializer()])
        coordinator = tf.train.Coordinator()
        threads = v1.train.start_queue_runners(session, coordinator)
        yield session
        coordinator.request_stop()
        coordinator.join(threads, ignore_live_threads=True)


def all_runs(tensors):
    """Returns the values of all runs until the end of the queue."""
    values = []
    with session() as current, contextlib.suppress(tf.errors.OutOfRangeError):
        while len(values) < 1000:
            values.append(current.run(tensors))
    return values


def dataset(paths, reader=v1.TFRecordReader):
    features = {
        "image/encoded": v1.FixedLenFeature((), tf.string, default_value=""),
        "image/format": v1.FixedLenFeature((), tf.string, default_value="png"),
        "label": v1.FixedLenFeature([1], tf.int64, default_value=tf.zeros([1], tf.int64)),
    }
    handlers = {
        "image": slim.tfexample_decoder.Image(),
        "label": slim.tfexample_decoder.Tensor("label", shape=[]),
    }
    decoder = slim.tfexample_decoder.TFExampleDecoder(features, handlers)
    return slim.dataset.Dataset(paths, reader, decoder, TOTAL, {}, num_classes=TOTAL)


def provider(paths, *args, reader=v1.TFRecordReader, **kwargs):
    split = dataset(paths, reader)
    return slim.dataset_data_provider.DatasetDataProvider(split, *args, **kwargs)


# ---- the provider --------------------------------------------------------------------------------


@pytest.mark.parametrize("reader", [v1.TFRecordReader, pytest.param(None, marks=pytest.mark.slow)])
def test_each_run_is_the_next_example(paths, reader):
    toy = provider(paths, shuffle=False, num_epochs=2, reader=reader)
    assert toy.list_items() == ["image", "label", "record_key"]
    assert toy.num_samples() == TOTAL
    (image,) = toy.get(["image"])
    key, label = toy.get(("record_key", "label"))
    assert (image.shape.as_list(), label.shape, key.shape) == ([None, None, 3], [], [])
    runs = all_runs([image, label, key])
    assert [int(label) for _, label, _ in runs] == 2 * list(range(TOTAL))
    assert all((image == label).all() for image, label, _ in runs)
    files = [path for path, count in zip(paths, COUNTS, strict=True) for _ in range(count)]
    assert [key.decode().split(":")[0] for _, _, key in runs] == 2 * files


@pytest.mark.parametrize(
    "num_readers",
    [pytest.param(1, marks=pytest.mark.slow), 2, pytest.param(5, marks=pytest.mark.slow)],
)
def test_shuffled_epoch_has_each_record_once(paths, num_readers):
    settings = {"common_queue_capacity": TOTAL, "common_queue_min": 4, "num_epochs": 1, "seed": 1}
    label = provider(paths, num_readers, **settings).get(["label"])
    assert sorted(label for (label,) in all_runs(label)) == list(range(TOTAL))


def test_batches_of_version_1(paths):
    items = provider(paths, shuffle=False, num_epochs=1).get(["image", "label", "record_key"])
    items[0].set_shape([2, 2, 3])
    batches = v1.train.batch(items, 3, allow_smaller_final_batch=True)
    images, labels, _ = zip(*all_runs(batches), strict=True)
    assert [image.shape for image in images] == [(3, 2, 2, 3), (3, 2, 2, 3), (2, 2, 2, 3)]
    assert np.concatenate(labels).tolist() == list(range(TOTAL))


def test_dataset_of_a_provider_in_a_graph(paths):
    pipeline = provider(paths, shuffle=False, num_epochs=1).dataset(["label"]).batch(TOTAL)
    batch = v1.data.make_one_shot_iterator(pipeline).get_next()
    with v1.Session() as current:
        assert current.run(batch)["label"].tolist() == list(range(TOTAL))


def test_decoder_in_a_pipeline_of_version_1(paths):
    decoder = dataset(paths).decoder
    records = v1.data.TFRecordDataset(paths).map(
        lambda record: decoder.decode(record, ["image"])[0]
    )
    iterator = v1.data.make_initializable_iterator(records.batch(TOTAL))
    images = iterator.get_next()
    with v1.Session() as current:
        current.run(iterator.initializer)
        assert current.run(images)[:, 0, 0, 0].tolist() == list(range(TOTAL))


def test_names_and_summaries_are_those_of_tf_slim(paths, graph):
    provider(paths, common_queue_capacity=64, common_queue_min=32)
    provider(paths, shuffle=False, scope="validation")
    assert [tensor.op.name for tensor in v1.get_collection(v1.GraphKeys.SUMMARIES)] == [
        "parallel_read/filenames/fraction_of_32_full",
        "parallel_read/fraction_of_64_full",
        "validation/filenames/fraction_of_32_full",
        "validation/fraction_of_256_full",
    ]
    assert graph.get_operation_by_name("parallel_read/common_queue").type == "RandomShuffleQueueV2"
    assert graph.get_operation_by_name("validation/common_queue").type == "FIFOQueueV2"
    assert len(v1.get_collection(v1.GraphKeys.QUEUE_RUNNERS)) == 4


def test_invalid_arguments_of_a_provider_are_errors(paths):
    with pytest.raises(_checks.UserError, match="item='lable' is not known; did you mean 'label'"):
        provider(paths).get(["lable"])
    with pytest.raises(ValueError, match="record_key='image' is also an item of the dataset"):
        provider(paths, record_key="image")
    with pytest.raises(_checks.UserError, match="common_queue_min=128 must lie between 0 and 99"):
        provider(paths, common_queue_capacity=100)
    with pytest.raises(_checks.UserError, match="num_readers=0 must be positive"):
        provider(paths, num_readers=0)


# ---- the reader ----------------------------------------------------------------------------------


def filenames(paths, num_epochs=1):
    return v1.train.string_input_producer(paths, num_epochs=num_epochs, shuffle=False)


def test_common_queue_is_filled_by_all_readers(paths):
    queue = tf.queue.FIFOQueue(20, [tf.string, tf.string], [[], []])
    reader = parallel_reader.ParallelReader(v1.TFRecordReader, queue, 2)
    assert (reader.common_queue, reader.num_readers) == (queue, 2)
    keys, _ = reader.read_up_to(filenames(paths), 3)
    counts = [reader.num_records_produced(), reader.num_work_units_completed("files")]
    assert counts[1].op.name == "files"
    assert sum(len(run) for run in all_runs(keys)) == TOTAL
    with session() as current:
        while current.run(counts[0]) < TOTAL or current.run(counts[1]) < len(paths):
            pass


def test_arguments_of_a_reader(tmp_path):
    path = tmp_path / "lines.csv"
    path.write_text("header\na;1\nb;2\n")
    arguments = (v1.TextLineReader, {"skip_header_lines": 1})
    _, line = parallel_reader.single_pass_read(str(path), *arguments)
    assert line.op.name.startswith("single_pass_read/")
    assert all_runs(line) == [b"a;1", b"b;2"]


def test_key_and_value_of_parallel_read(paths):
    key, value = slim.parallel_reader.parallel_read(
        paths, v1.TFRecordReader, 1, shuffle=False, dtypes=[tf.string, tf.string], scope="read"
    )
    assert (key.op.name, key.shape, value.shape) == ("read/common_queue_Dequeue", [], [])
    runs = all_runs([key, value])
    assert len({key for key, _ in runs}) == len({value for _, value in runs}) == TOTAL


@pytest.mark.parametrize("types", [None, [tf.string], [tf.string, tf.int64]])
def test_common_queue_must_hold_two_strings(types):
    queue = types and tf.queue.FIFOQueue(2, types)
    with pytest.raises(TypeError, match="in a tf.Graph must hold .tf.string, tf.string., not"):
        parallel_reader.ParallelReader(v1.TFRecordReader, queue)


# ---- the prefetch queue --------------------------------------------------------------------------


def counter(limit):
    return v1.train.range_input_producer(limit, num_epochs=1, shuffle=False).dequeue()


def test_prefetch_queue_of_a_list(graph):
    number = counter(5)
    queue = slim.prefetch_queue.prefetch_queue([number, tf.fill([2], number)], capacity=3)
    number, pair = queue.dequeue()
    assert (number.shape, pair.shape) == ([], [2])
    assert [(int(n), p.tolist()) for n, p in all_runs([number, pair])] == [
        (n, [n, n]) for n in range(5)
    ]
    assert v1.get_collection(v1.GraphKeys.SUMMARIES)[-1].op.name == (
        "prefetch_queue/fraction_of_3_full"
    )


def test_prefetch_queue_of_a_dict_with_several_threads():
    number = counter(20)
    queue = slim.prefetch_queue.prefetch_queue(
        {"square": number * number, "number": number}, num_threads=3, name="ahead"
    )
    assert queue.names == ["number", "square"]
    assert queue.name.startswith("ahead/")
    runs = all_runs(queue.dequeue())
    assert sorted(run["number"] for run in runs) == list(range(20))
    assert all(run["square"] == run["number"] ** 2 for run in runs)


def test_prefetch_queue_pads_elements_of_unknown_size():
    numbers = tf.range(counter(3))
    with pytest.raises(ValueError, match="fully defined"):
        slim.prefetch_queue.prefetch_queue([numbers])
    queue = slim.prefetch_queue.prefetch_queue([numbers], dynamic_pad=True)
    (rows,) = all_runs(queue.dequeue_many(3))
    assert rows.tolist() == [[0, 0], [0, 0], [0, 1]]
