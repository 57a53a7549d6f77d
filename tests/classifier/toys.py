"""Small datasets with distinguishable records, and batches of them."""

import io
import itertools

import numpy as np
import PIL.Image
import tensorflow as tf

from classifier import inputs
from datasets import dataset_info, image_dataset, splits, tfrecords
from preprocessing import preprocessing_factory
from slim.data import encoded_images

NUM_CLASSES = 6
SHARD_SIZES = (13, 30, 17)
SHARD = "toy_train-00001-of-00003.tfrecord"
SPEC = splits.DatasetSpec("toy", "unused", "toy_%s-*.tfrecord")


def png(value, side=8, channels=3):
    rng = np.random.RandomState(value)
    buffer = io.BytesIO()
    pixels = rng.randint(0, 256, (side, side, channels), np.uint8)
    PIL.Image.fromarray(pixels.squeeze()).save(buffer, "PNG")
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
    return image_dataset.from_metadata(splits.read_metadata(SPEC, "train", str(directory)))


def training(dataset, **kwargs):
    settings = {"image_size": (8, 8), "batch_size": 7, "seed": 5, "shuffle_buffer_mb": 1}
    settings["preprocessing_fn"] = noisy
    return inputs.training_dataset(dataset, **(settings | kwargs))


def noisy(image, height, width, seed):
    """A preprocessing that is random and quick to trace."""
    return tf.cast(image, tf.float32) + tf.random.stateless_uniform([height, width, 3], seed)


def evaluation(dataset, **kwargs):
    settings = {"image_size": (8, 8), "batch_size": 7}
    settings["preprocessing_fn"] = preprocessing_factory.get_preprocessing("lenet")
    return inputs.evaluation_dataset(dataset, **(settings | kwargs))


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


def run(dataset, kind, **kwargs):
    built = training(dataset, **kwargs) if kind == "training" else evaluation(dataset, **kwargs)
    with inputs.translate_errors(dataset):
        first(built, 10)


def noisy_crop(image, height, width, seed):
    """A random window of an image of any size, which is decoded in part, with noise."""

    def choose(image):
        size = tf.constant([height, width])
        extra = image.shape()[:2] - size
        offset = tf.random.stateless_uniform([2], seed, 0, 1 << 20, tf.int32) % (extra + 1)
        return image.window(offset, size)[0]

    image = encoded_images.crop(image, choose)
    return noisy(tf.image.resize(image, (height, width)), height, width, seed)
