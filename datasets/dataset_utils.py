"""The helpers that programs for TF-Slim import to write datasets of their own.

Conversions of this library use `datasets.conversion`, which also verifies, resumes and shuffles.
"""

import contextlib
import os
import urllib.parse
from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from datasets import archives, dataset_info, download
from datasets.tfrecords import image_to_tfexample
from slim import _paths

__all__ = [
    "LABELS_FILENAME",
    "bytes_feature",
    "bytes_list_feature",
    "download_and_uncompress_tarball",
    "download_and_uncompress_zipfile",
    "download_url",
    "float_feature",
    "float_list_feature",
    "has_labels",
    "image_to_tfexample",
    "int64_feature",
    "open_sharded_output_tfrecords",
    "read_label_file",
    "write_label_file",
]

LABELS_FILENAME = dataset_info.LABELS_FILE_NAME
_LIMITS = archives.Limits(members=2_000_000, bytes=1 << 40)

has_labels = dataset_info.has_labels
read_label_file = dataset_info.read_label_file
write_label_file = dataset_info.write_label_file


def int64_feature(values: int | Sequence[int]) -> tf.train.Feature:
    """Returns a feature of one integer or several."""
    return tf.train.Feature(int64_list=tf.train.Int64List(value=_listed(values)))


def float_feature(values: float | Sequence[float]) -> tf.train.Feature:
    """Returns a feature of one number or several."""
    return tf.train.Feature(float_list=tf.train.FloatList(value=_listed(values)))


def float_list_feature(values: Sequence[float]) -> tf.train.Feature:
    """Returns a feature of several numbers."""
    return float_feature(values)


def bytes_feature(values: bytes) -> tf.train.Feature:
    """Returns a feature of one string of bytes."""
    return bytes_list_feature([values])


def bytes_list_feature(values: Sequence[bytes]) -> tf.train.Feature:
    """Returns a feature of several strings of bytes."""
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=values))


def download_url(url: str, dataset_dir: str) -> str:
    """Downloads a file, unless it is there, and returns its path.

    Args:
      url: its address; the last part of the path is the file's name.
      dataset_dir: target directory; created if it does not exist.

    Raises:
      RunError: if it cannot be downloaded.
    """
    name = os.path.basename(urllib.parse.urlsplit(url).path)
    file = download.RemoteFile(name, (url,))
    return download.Downloader().fetch([file], dataset_dir, dataset_name=name)[name]


def download_and_uncompress_tarball(tarball_url: str, dataset_dir: str) -> None:
    """Downloads a tar or zip archive and extracts the files that do not exist yet.

    Args:
      tarball_url: the archive's address.
      dataset_dir: target directory; created if it does not exist.

    Raises:
      RunError: if it cannot be downloaded, is damaged, or has members outside the directory.
    """
    archive = download_url(tarball_url, dataset_dir)
    with _paths.scratch_directory(dataset_dir) as scratch:
        for name in archives.extract(archive, scratch, _LIMITS):
            target = os.path.join(dataset_dir, *name.split("/"))
            if not os.path.lexists(target):
                os.makedirs(os.path.dirname(target), exist_ok=True)
                os.rename(os.path.join(scratch, *name.split("/")), target)


download_and_uncompress_zipfile = download_and_uncompress_tarball


def open_sharded_output_tfrecords(
    exit_stack: contextlib.ExitStack, base_path: str, num_shards: int
) -> list[tf.io.TFRecordWriter]:
    """Opens the shards `base_path-00000-of-00010` for writing.

    Args:
      exit_stack: closes them.
      base_path: path without the shard's number.
      num_shards: their number.
    """
    names = [f"{base_path}-{shard:05d}-of-{num_shards:05d}" for shard in range(num_shards)]
    return [exit_stack.enter_context(tf.io.TFRecordWriter(name)) for name in names]


def _listed(values: Any) -> Sequence[Any]:
    return values if isinstance(values, (tuple, list)) else [values]
