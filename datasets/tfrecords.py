"""Image records, with the features and shard names of TF-Slim's converters."""

import hashlib
import os
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from datasets import dataset_info
from datasets.items import labels_of
from slim import _checks, _files, _ownership, _paths
from slim.data import tfexample_decoder

ITEMS_TO_DESCRIPTIONS = {
    "image": "The image, uint8 [height, width, channels].",
    "label": "The class, from 0.",
    "labels": "The classes of an image with several labels, from 0, int64 [number].",
    "filename": "The name of the image file; empty if not recorded.",
    "label_text": "The class name.",
    "object/bbox": "Boxes of objects, float32 [number, 4]: ymin, xmin, ymax, xmax, 0 to 1.",
    "object/label": "Classes of the objects, int64 [number].",
}
_COPIED_BYTES = 1 << 20  # at once
_BOXES = "image/object/bbox/"

# The value of a feature; a list is an array, whose dtype is known even if it is empty.
Value = bytes | str | int | np.ndarray


class ImageRecord(NamedTuple):
    """The content of a record: encoded image, name of its format, size in pixels, class (or
    classes, in a dataset with several labels an image), file name, and further features by key."""

    encoded: bytes
    format: str
    height: int
    width: int
    label: int | tuple[int, ...]
    filename: str = ""
    extra: Mapping[str, Value] = MappingProxyType({})


def image_to_tfexample(
    image_data: bytes,
    image_format: bytes | str,
    height: int,
    width: int,
    class_id: int | Sequence[int],
    filename: str = "",
    extra: Mapping[str, Value] = MappingProxyType({}),
) -> tf.train.Example:
    """Returns the Example of one encoded image, of one class or of any number of classes; an empty
    `filename` is omitted."""
    values = {
        "image/encoded": image_data,
        "image/format": image_format,
        "image/class/label": np.array(class_id, np.int64),
        "image/height": height,
        "image/width": width,
        **({"image/filename": filename} if filename else {}),
        **extra,
    }
    features = {key: _feature(value) for key, value in values.items()}
    return tf.train.Example(features=tf.train.Features(feature=features))


def image_decoder(
    num_channels: int, *extras: str, multi_label: bool = False
) -> tfexample_decoder.TFExampleDecoder:
    """Returns the decoder of image records: items "image", "label" and "filename".

    Args:
      num_channels: 1 or 3; images are converted to it.
      *extras: further items: "label_text", "object/bbox", "object/label".
      multi_label: whether an image has any number of labels: the item "labels" replaces "label".
    """
    text = tf.io.FixedLenFeature([], tf.string, default_value="")
    one, several = tf.io.FixedLenFeature([], tf.int64), tf.io.VarLenFeature(tf.int64)
    features = {
        "image/encoded": tf.io.FixedLenFeature([], tf.string),
        "image/format": text,
        "image/class/label": several if multi_label else one,
        "image/filename": text,
    }
    handlers = {
        "image": tfexample_decoder.Image(channels=num_channels),
        "labels" if multi_label else "label": tfexample_decoder.Tensor("image/class/label"),
        "filename": tfexample_decoder.Tensor("image/filename"),
    }
    if "label_text" in extras:
        features["image/class/text"] = text
        handlers["label_text"] = tfexample_decoder.Tensor("image/class/text")
    if "object/bbox" in extras:
        for side in ("ymin", "xmin", "ymax", "xmax"):
            features[_BOXES + side] = tf.io.VarLenFeature(tf.float32)
        handlers["object/bbox"] = tfexample_decoder.BoundingBox(prefix=_BOXES)
    if "object/label" in extras:
        features[_BOXES + "label"] = tf.io.VarLenFeature(tf.int64)
        handlers["object/label"] = tfexample_decoder.Tensor(_BOXES + "label")
    return tfexample_decoder.TFExampleDecoder(features, handlers)


def box_features(boxes: Sequence[Sequence[float]]) -> dict[str, np.ndarray]:
    """Returns the features of boxes [number, 4] of (xmin, ymin, xmax, ymax), 0 to 1."""
    columns = np.reshape(np.array(boxes, np.float32), (-1, 4)).T
    names = ("xmin", "ymin", "xmax", "ymax")
    return {_BOXES + name: column for name, column in zip(names, columns, strict=True)}


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
      images: the records, in the order in which they are written.
      dataset_dir: an existing directory.
      dataset_name: first part of the shard names.
      split_name: second part of the shard names.
      num_classes: number of classes.
      num_shards: number of shards.

    Returns:
      the counts, sizes and checksums for dataset_info.json.

    Raises:
      UserError: if there are fewer images than shards, or a label is out of range.
    """
    _checks.in_range(1, len(images), num_shards=num_shards)
    per_class = [0] * num_classes
    for image in images:
        for label in labels_of(image.label):
            if not 0 <= label < num_classes:
                raise _checks.UserError(
                    f"label {label} of {image.filename!r} is outside 0..{num_classes - 1}"
                )
            per_class[label] += 1
    shards = []
    for shard in range(num_shards):
        start, end = (len(images) * (shard + step) // num_shards for step in (0, 1))
        path = os.path.join(dataset_dir, shard_name(dataset_name, split_name, shard, num_shards))
        shards.append(write_shard(path, images[start:end]))
    return dataset_info.SplitInfo(len(images), tuple(per_class), tuple(shards))


def write_shard(path: str, images: Iterable[ImageRecord]) -> dataset_info.ShardInfo:
    """Writes one TFRecord file under a temporary name and renames it when it is complete.

    Raises:
      UserError: if `path` is a link, a directory or a special file.
      RunError: if the file cannot be written.
    """

    def write(temporary: str) -> int:
        count = 0
        with tf.io.TFRecordWriter(temporary) as writer:
            for image in images:
                # Otherwise, the order of the features would differ between processes.
                writer.write(image_to_tfexample(*image).SerializeToString(deterministic=True))
                count += 1
        return count

    return _write(path, write)


def join_shards(path: str, parts: Sequence[dataset_info.ShardInfo]) -> dataset_info.ShardInfo:
    """Writes the records of several TFRecord files of its directory to one; raises as
    `write_shard`."""

    def write(temporary: str) -> int:
        with open(temporary, "wb") as output:
            for part in parts:
                with _files.open_regular(os.path.join(os.path.dirname(path), part.file)) as file:
                    shutil.copyfileobj(file, output, _COPIED_BYTES)
        return sum(part.num_samples for part in parts)

    return _write(path, write)


def _write(path: str, write: Callable[[str], int]) -> dataset_info.ShardInfo:
    """Writes a TFRecord file with a function, which returns the number of records."""
    _paths.check_replaceable(path)
    directory, name = os.path.split(os.path.abspath(path))
    try:
        with _paths.scratch_directory(directory) as scratch:
            temporary = os.path.join(scratch, name)
            count = write(temporary)
            with open(temporary, "rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            size = os.path.getsize(temporary)
            os.replace(temporary, path)
    except (OSError, tf.errors.OpError) as error:
        raise _checks.RunError(f"{path} could not be written: {error}") from error
    return dataset_info.ShardInfo(name, count, size, digest)


def prepare_directory(dataset_dir: str) -> None:
    """Creates the directory, marks it as slim's and removes the files of a killed conversion.

    Raises:
      UserError: if it is a file, cannot be created or written, or holds files that slim did not
        create.
    """
    _ownership.claim(dataset_dir, "dataset", name="dataset_dir", recognize=_is_converted)
    _paths.sweep_scratch(dataset_dir)


def _is_converted(dataset_dir: str) -> bool:
    """Returns whether a directory without a mark holds a dataset written by an earlier version.

    Shards without our dataset_info.json may come from another program: they are never replaced.
    """
    try:
        return dataset_info.read(dataset_dir) is not None
    except _checks.UserError:
        return False


def _feature(value: Value) -> tf.train.Feature:
    if isinstance(value, bytes | str):
        encoded = value.encode() if isinstance(value, str) else value
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[encoded]))
    numbers = np.atleast_1d(value)
    if numbers.dtype.kind in "iu":
        return tf.train.Feature(int64_list=tf.train.Int64List(value=numbers))
    return tf.train.Feature(float_list=tf.train.FloatList(value=numbers))
