"""Image records, with the features and shard names of the original's converters."""

import contextlib
import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import tensorflow as tf

from datasets import dataset_info
from slim import _checks
from slim.data import tfexample_decoder

_INCOMPLETE = ".incomplete"

ITEMS_TO_DESCRIPTIONS = {
    "image": "The picture, uint8 [height, width, channels].",
    "label": "Its class, from 0.",
    "filename": "The file it came from; empty if the record does not say.",
}


class ImageRecord(NamedTuple):
    """What goes into a record: encoded bytes, "png" or "jpeg", pixels, class, file name."""

    encoded: bytes
    format: str
    height: int
    width: int
    label: int
    filename: str = ""


def image_to_tfexample(
    image_data: bytes,
    image_format: bytes | str,
    height: int,
    width: int,
    class_id: int,
    filename: str = "",
) -> tf.train.Example:
    """Returns the Example of one encoded image; `filename` is left out if empty."""
    features = {
        "image/encoded": _bytes_feature(image_data),
        "image/format": _bytes_feature(image_format),
        "image/class/label": _int64_feature(class_id),
        "image/height": _int64_feature(height),
        "image/width": _int64_feature(width),
    }
    if filename:
        features["image/filename"] = _bytes_feature(filename)
    return tf.train.Example(features=tf.train.Features(feature=features))


def image_decoder(num_channels: int) -> tfexample_decoder.TFExampleDecoder:
    """Returns the decoder of such records: items "image", "label" and "filename".

    Args:
      num_channels: 1 or 3; pictures are converted to it.
    """
    text = tf.io.FixedLenFeature([], tf.string, default_value="")
    return tfexample_decoder.TFExampleDecoder(
        {
            "image/encoded": tf.io.FixedLenFeature([], tf.string),
            "image/format": text,
            "image/class/label": tf.io.FixedLenFeature([], tf.int64),
            "image/filename": text,
        },
        {
            "image": tfexample_decoder.Image(channels=num_channels),
            "label": tfexample_decoder.Tensor("image/class/label"),
            "filename": tfexample_decoder.Tensor("image/filename"),
        },
    )


def shard_name(dataset_name: str, split_name: str, shard: int, num_shards: int) -> str:
    """Returns a shard's file name, such as digits_train-00000-of-00002.tfrecord."""
    return f"{dataset_name}_{split_name}-{shard:05d}-of-{num_shards:05d}.tfrecord"


def write_split(
    images: Sequence[ImageRecord],
    *,
    dataset_dir: str,
    dataset_name: str,
    split_name: str,
    num_classes: int,
    num_shards: int,
) -> dataset_info.SplitInfo:
    """Writes one split in shards of nearly equal size.

    Args:
      images: the records, in the order in which they are to lie in the files.
      dataset_dir: an existing directory.
      dataset_name: first part of the shards' names.
      split_name: second part of the shards' names.
      num_classes: classes in the labels.
      num_shards: number of files.

    Returns:
      counts, sizes and checksums for dataset_info.json.

    Raises:
      UserError: if there are fewer images than shards, or a label is out of range.
    """
    _checks.in_range(1, len(images), num_shards=num_shards)
    per_class = [0] * num_classes
    for image in images:
        if not 0 <= image.label < num_classes:
            raise _checks.UserError(
                f"label {image.label} of {image.filename!r} is outside 0..{num_classes - 1}"
            )
        per_class[image.label] += 1
    shards = []
    for shard in range(num_shards):
        start, end = (len(images) * (shard + step) // num_shards for step in (0, 1))
        path = os.path.join(dataset_dir, shard_name(dataset_name, split_name, shard, num_shards))
        shards.append(write_shard(path, images[start:end]))
    return dataset_info.SplitInfo(len(images), tuple(per_class), tuple(shards))


def write_shard(path: str, images: Iterable[ImageRecord]) -> dataset_info.ShardInfo:
    """Writes one TFRecord file under a temporary name and renames it when it is whole."""
    temporary = path + _INCOMPLETE
    count = 0
    with removed_on_error(temporary):
        with tf.io.TFRecordWriter(temporary) as writer:
            for image in images:
                writer.write(image_to_tfexample(*image).SerializeToString())
                count += 1
        with open(temporary, "rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        size = os.path.getsize(temporary)
        os.replace(temporary, path)
    return dataset_info.ShardInfo(os.path.basename(path), count, size, digest)


def prepare_directory(dataset_dir: str) -> None:
    """Makes the directory, proves that it can be written and clears what a killed conversion left.

    Raises:
      UserError: if it is a file or cannot be made or written.
    """
    if os.path.exists(dataset_dir) and not os.path.isdir(dataset_dir):
        raise _checks.UserError(f"dataset_dir={dataset_dir!r} is a file; a directory is needed")
    probe = os.path.join(dataset_dir, f"probe{_INCOMPLETE}")
    try:
        os.makedirs(dataset_dir, exist_ok=True)
        with open(probe, "wb"):
            pass
        for name in os.listdir(dataset_dir):
            if name.endswith(_INCOMPLETE):
                os.remove(os.path.join(dataset_dir, name))
    except OSError as error:
        raise _checks.UserError(
            f"dataset_dir={dataset_dir!r} cannot be written: {error.strerror or error}"
        ) from None


@contextlib.contextmanager
def removed_on_error(path: str) -> Iterator[None]:
    """Removes the file if the block fails; a full disk becomes one line.

    Raises:
      RunError: if the file could not be written.
    """
    try:
        yield
    except BaseException as error:
        with contextlib.suppress(OSError):
            os.remove(path)
        if isinstance(error, OSError | tf.errors.OpError):
            raise _checks.RunError(
                f"{path.removesuffix(_INCOMPLETE)} could not be written: {error}"
            ) from error
        raise


def _int64_feature(value: int) -> tf.train.Feature:
    return tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))


def _bytes_feature(value: bytes | str) -> tf.train.Feature:
    value = value.encode() if isinstance(value, str) else value
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))
