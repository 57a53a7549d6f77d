"""Training input: this pipeline, one that decodes whole images, and decoding alone.

    python benchmarks/input_pipeline.py [--rounds=7]

Needs scikit-learn (`requirements/dev.txt`) for its two photographs. Each contestant converts the
same images to batches of 224 x 224 on all cores; "decoding alone" only decodes whole images, so its
rate is that of the machine's JPEG decoder. In each round all are timed one after the other, after a
warm-up; the medians over the rounds are printed.
"""

import argparse
import io
import os
import sys
import tempfile
import time
from collections.abc import Callable

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import tensorflow as tf
from PIL import Image, ImageOps, JpegImagePlugin

from benchmarks import pairs
from benchmarks.flags import add_rounds
from classifier import inputs
from datasets import tfrecords
from preprocessing import preprocessing_factory
from slim.data.dataset import Dataset

SIZE, BATCH, RECORDS, WARM_UP = (224, 224), 32, 256, 5


def photographs(width: int, height: int) -> list[bytes]:
    """Returns JPEG files of the two photographs and their mirror images.

    Small ones are cropped, large ones are enlarged; the compression is that of the photographs'
    files, so that the number of bytes per pixel is equal.
    """
    from sklearn import datasets

    directory = os.path.join(os.path.dirname(datasets.__file__), "images")
    files = []
    for name in ("china.jpg", "flower.jpg"):
        photograph = Image.open(os.path.join(directory, name))
        resized = ImageOps.fit(photograph, (width, height), Image.Resampling.LANCZOS)
        if width <= photograph.width and height <= photograph.height:
            resized = photograph.crop((0, 0, width, height))
        for image in (resized, ImageOps.mirror(resized)):
            file = io.BytesIO()
            subsampling = JpegImagePlugin.get_sampling(photograph)
            image.save(file, "JPEG", qtables=photograph.quantization, subsampling=subsampling)
            files.append(file.getvalue())
    return files


def shard(files: list[bytes], records: int, directory: str) -> Dataset:
    """Writes the images in turn to a TFRecord file and returns it as a dataset."""
    path = os.path.join(directory, f"{len(os.listdir(directory))}.tfrecord")
    with tf.io.TFRecordWriter(path) as writer:
        for number in range(records):
            feature = {
                "image/encoded": _bytes(files[number % len(files)]),
                "image/class/label": tf.train.Feature(int64_list=tf.train.Int64List(value=[0])),
            }
            example = tf.train.Example(features=tf.train.Features(feature=feature))
            writer.write(example.SerializeToString())
    return Dataset(
        name="photographs",
        split_name="train",
        data_sources=(path,),
        shard_counts=(records,),
        decoder=tfrecords.image_decoder(3),
        num_samples=records,
        num_classes=2,
        labels_to_names={},
        items_to_descriptions={},
    )


def _bytes(value: bytes) -> tf.train.Feature:
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))


def ours(dataset: Dataset, name: str) -> tf.data.Dataset:
    """Returns the batches of the training script."""
    return inputs.training_dataset(
        dataset,
        preprocessing_fn=preprocessing_factory.get_preprocessing(name, is_training=True),
        image_size=SIZE,
        batch_size=BATCH,
        seed=0,
    )


def decode_whole(dataset: Dataset, name: str) -> tf.data.Dataset:
    """Returns batches as in TensorFlow's guides: whole images and TensorFlow's own operations."""

    def example(number: tf.Tensor, record: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        image, label = dataset.decoder.decode(record, ["image", "label"])
        return PLAIN[name](image, tf.stack([0, tf.cast(number, tf.int32)])), label

    records = tf.data.TFRecordDataset(list(dataset.data_sources)).repeat().shuffle(RECORDS)
    examples = records.enumerate().map(example, tf.data.AUTOTUNE)
    return examples.batch(BATCH, drop_remainder=True).prefetch(tf.data.AUTOTUNE)


def plain_inception(image: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Distorts a decoded image in the order of TF-Slim and the guides: first to float."""
    image = tf.image.convert_image_dtype(image, tf.float32)
    begin, size, _ = tf.image.stateless_sample_distorted_bounding_box(
        tf.shape(image),
        tf.constant([[[0.0, 0.0, 1.0, 1.0]]]),
        seed,
        min_object_covered=0.1,
        aspect_ratio_range=(0.75, 1.33),
        area_range=(0.05, 1.0),
        use_image_if_no_bounding_boxes=True,
    )
    image = tf.image.resize(tf.slice(image, begin, size), SIZE)
    image = tf.ensure_shape(image, [*SIZE, 3])
    image = tf.image.stateless_random_flip_left_right(image, seed)
    image = tf.image.stateless_random_brightness(image, 32 / 255, seed)
    image = tf.image.stateless_random_saturation(image, 0.5, 1.5, seed)
    return (tf.clip_by_value(image, 0.0, 1.0) - 0.5) * 2.0


def plain_vgg(image: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Distorts a decoded image as in VGG's training."""
    side = tf.random.stateless_uniform([], seed, 256, 513, tf.int32)
    sides = tf.cast(tf.shape(image)[:2], tf.float32)
    scale = tf.cast(side, tf.float32) / tf.reduce_min(sides)
    image = tf.image.resize(image, tf.cast(tf.math.ceil(sides * scale), tf.int32))
    image = tf.image.stateless_random_crop(image, [*SIZE, 3], seed)
    return tf.image.stateless_random_flip_left_right(image, seed) - [123.68, 116.78, 103.94]


PLAIN = {"inception": plain_inception, "vgg": plain_vgg}


def decode_alone(files: list[bytes]) -> tf.data.Dataset:
    """Returns a corner of each decoded image, so that only decoding takes time."""
    images = tf.data.Dataset.from_tensor_slices(files).repeat()

    def corner(contents: tf.Tensor) -> tf.Tensor:
        return tf.io.decode_jpeg(contents, channels=3)[:1, :1]

    return images.map(corner, tf.data.AUTOTUNE).batch(BATCH).prefetch(tf.data.AUTOTUNE)


def main() -> None:
    """Measures, and prints the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_rounds(parser, 7)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as directory:
        for width, height, images in ((500, 375, 1024), (2000, 1500, 192)):
            files = photographs(width, height)
            dataset = shard(files, min(images, RECORDS), directory)
            pipelines = {"decoding alone": decode_alone(files)}
            for name in ("inception", "vgg"):
                pipelines[f"{name}, slim"] = ours(dataset, name)
                pipelines[f"{name}, decoded whole"] = decode_whole(dataset, name)
            readers = {name: reader(each, images // BATCH) for name, each in pipelines.items()}
            times = pairs.medians(readers, rounds)
            pairs.show(f"images of {width} x {height}:", times, images, "images")
            base = times["decoding alone"][1]
            for name in ("inception", "vgg"):
                slim, whole = (times[f"{name}, {kind}"][1] for kind in ("slim", "decoded whole"))
                print(
                    f"  {name}: {base / slim:.2f} of the decoding rate, "
                    f"{whole / slim:.2f} times the rate of decoding whole"
                )


def reader(batches: tf.data.Dataset, number: int) -> Callable[[], float]:
    """Returns a function that reads a number of batches and returns its seconds."""

    def read() -> float:
        # A new iterator each time: an open one continues to fill its buffers in the background. The
        # first batches start its threads and compile its functions.
        iterator = iter(batches)
        for _ in range(WARM_UP):
            next(iterator)
        started = time.perf_counter()
        for _ in range(number):
            next(iterator)
        return time.perf_counter() - started

    return read


if __name__ == "__main__":
    main()
