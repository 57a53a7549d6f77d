"""Training input: this pipeline beside one that decodes whole pictures, and bare decoding.

    python benchmarks/input_pipeline.py [--rounds=7]

Needs scikit-learn (`requirements/dev.txt`) for its two photographs. Each contestant takes the same
pictures to batches of 224 x 224 on all cores; "decoding alone" decodes them whole and does nothing
else, so its rate is what the machine's JPEG decoder can do. Times are of the same round, one after
the other; what is printed are medians over the rounds. Each timing opens a fresh
iterator, so the start of a pipeline, a few tenths of a second, is in it.
"""

import argparse
import io
import os
import sys
import tempfile
from collections.abc import Callable

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf
from PIL import Image

from benchmarks import pairs
from classifier import inputs
from datasets import tfrecords
from preprocessing import preprocessing_factory
from slim.data.dataset import Dataset

SIZE, BATCH, RECORDS = (224, 224), 32, 256


def photographs(width: int, height: int) -> list[bytes]:
    """Returns JPEG files of the two photographs and their mirror images."""
    from sklearn.datasets import load_sample_images

    files = []
    for pixels in load_sample_images().images:
        for picture in (pixels, pixels[:, ::-1]):
            file = io.BytesIO()
            image = Image.fromarray(np.ascontiguousarray(picture))
            image.resize((width, height), Image.Resampling.LANCZOS).save(file, "JPEG", quality=90)
            files.append(file.getvalue())
    return files


def shard(files: list[bytes], records: int, folder: str) -> Dataset:
    """Writes the pictures in turn to a TFRecord file and returns it as a dataset."""
    path = os.path.join(folder, f"{len(os.listdir(folder))}.tfrecord")
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
    """Returns the batches that the training script makes."""
    return inputs.training_dataset(
        dataset,
        preprocessing_fn=preprocessing_factory.get_preprocessing(name, is_training=True),
        image_size=SIZE,
        batch_size=BATCH,
        seed=0,
    )


def decode_whole(dataset: Dataset, name: str) -> tf.data.Dataset:
    """Returns what tf.data's guide would have one write, with the same preprocessing."""
    prepare = preprocessing_factory.get_preprocessing(name, is_training=True)

    def example(number: tf.Tensor, record: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        image, label = dataset.decoder.decode(record, ["image", "label"])
        return prepare(image, *SIZE, seed=tf.stack([0, tf.cast(number, tf.int32)])), label

    records = tf.data.TFRecordDataset(list(dataset.data_sources)).repeat().shuffle(RECORDS)
    examples = records.enumerate().map(example, tf.data.AUTOTUNE)
    return examples.batch(BATCH, drop_remainder=True).prefetch(tf.data.AUTOTUNE)


def decode_alone(files: list[bytes]) -> tf.data.Dataset:
    """Returns one corner of each decoded picture: what comes after costs nothing."""
    pictures = tf.data.Dataset.from_tensor_slices(files).repeat()

    def corner(contents: tf.Tensor) -> tf.Tensor:
        return tf.io.decode_jpeg(contents, channels=3)[:1, :1]

    return pictures.map(corner, tf.data.AUTOTUNE).batch(BATCH).prefetch(tf.data.AUTOTUNE)


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder:
        for width, height, images in ((500, 375, 1024), (2000, 1500, 128)):
            files = photographs(width, height)
            dataset = shard(files, min(images, RECORDS), folder)
            pipelines = {"decoding alone": decode_alone(files)}
            for name in ("inception", "vgg"):
                pipelines[f"{name}, slim"] = ours(dataset, name)
                pipelines[f"{name}, decoded whole"] = decode_whole(dataset, name)
            found = pairs.medians(
                {name: _reader(each, images // BATCH) for name, each in pipelines.items()}, rounds
            )
            pairs.show(f"pictures of {width} x {height}:", found, images, "images")
            base = found["decoding alone"][1]
            for name in ("inception", "vgg"):
                slim, whole = (found[f"{name}, {kind}"][1] for kind in ("slim", "decoded whole"))
                print(
                    f"  {name}: {base / slim:.2f} of the decoding rate, "
                    f"{whole / slim:.2f} times the rate of decoding whole"
                )


def _reader(batches: tf.data.Dataset, number: int) -> Callable[[], None]:
    def read() -> None:
        # A fresh iterator each time: one that is left open fills its buffers behind our back.
        for _ in batches.take(number):
            pass

    return read


if __name__ == "__main__":
    main()
