"""Copies of records that are read one at a time: in memory, or as TFRecord files."""

import os
import re
from concurrent import futures

import numpy as np
import tensorflow as tf

from slim import _cores, _paths
from slim.data import dataset as dataset_lib
from slim.data.record_source import RecordSource

_NAME = re.compile(r"\d{5}-[0-9a-f]{16}\.tfrecord")


class MemoryRecords:
    """Records of another source, each kept in memory from its first reading on.

    Args:
      source: the other source.
    """

    def __init__(self, source: RecordSource) -> None:
        self._source = source
        self._kept: dict[tuple[int, int], bytes] = {}

    @property
    def labels(self) -> np.ndarray:
        """The class of each record."""
        return self._source.labels

    @property
    def fingerprint(self) -> str:
        """Identifies the content of the records."""
        return self._source.fingerprint

    def with_max_pixels(self, max_pixels: int) -> "MemoryRecords":
        """Returns the same records with another limit."""
        return MemoryRecords(self._source.with_max_pixels(max_pixels))

    def read(self, shard: int, record: int) -> bytes:
        """Returns a serialized `tf.train.Example`."""
        place = shard, record
        kept = self._kept.get(place)
        if kept is None:
            kept = self._kept[place] = self._source.read(shard, record)
        return kept

    def problem(self, shard: int, record: int) -> str | None:
        """Returns why the image of a record cannot be used, or None if it can."""
        return self._source.problem(shard, record)


def paths(dataset: dataset_lib.Dataset, directory: str) -> tuple[str, ...]:
    """Returns the path of each shard in a directory; it depends on the content of the records."""
    version = dataset.record_source.fingerprint[:16]
    return tuple(
        os.path.join(directory, f"{number:05d}-{version}.tfrecord")
        for number in range(len(dataset.shard_counts))
    )


def write(dataset: dataset_lib.Dataset, directory: str) -> None:
    """Writes the shards that a directory lacks, and removes those of other versions.

    Raises:
      OSError, OpError: if a file cannot be written.
    """
    targets = paths(dataset, directory)
    for name in os.listdir(directory):
        if _NAME.fullmatch(name) and os.path.join(directory, name) not in targets:
            os.remove(os.path.join(directory, name))
    source = dataset.record_source
    with futures.ThreadPoolExecutor(2 * _cores.usable_cores()) as pool:
        for shard, (path, count) in enumerate(zip(targets, dataset.shard_counts, strict=True)):
            if os.path.exists(path):
                continue
            _paths.check_replaceable(path)
            with _paths.scratch_directory(directory) as scratch:
                temporary = os.path.join(scratch, os.path.basename(path))
                with tf.io.TFRecordWriter(temporary) as writer:
                    for serialized in pool.map(source.read, [shard] * count, range(count)):
                        writer.write(serialized)
                os.replace(temporary, path)
